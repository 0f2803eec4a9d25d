"""Encoders on ragged batches: attention, and what else is done to a model for it."""
