"""Heads: what turns hidden states into logits, loss and outputs."""
