"""Prediction files: one record per example."""
