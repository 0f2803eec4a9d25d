"""Predictions of others in, ours out."""
