"""Comparisons of scored runs: which is better, and sources by targets."""
