"""A small XLM-R-like encoder's folder, config and tokenizer without weights, for runs on the synthetic sample."""
