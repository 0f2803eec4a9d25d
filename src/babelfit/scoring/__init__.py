"""Scores: from prediction files to numbers per language, their intervals, and what they say of transfer."""
