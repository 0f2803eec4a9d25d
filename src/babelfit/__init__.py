"""Fine-tune on some languages, and see what that is worth in others."""

__version__ = "0.1.0"
