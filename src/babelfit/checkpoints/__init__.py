"""Checkpoints: when and how they are written, which are selected, what becomes of them."""
