"""Batches without padding: examples end to end, and which of them make up each optimizer step."""
