"""The cross-lingual transfer metric, as a module for Hugging Face `evaluate` and as plain arithmetic."""
