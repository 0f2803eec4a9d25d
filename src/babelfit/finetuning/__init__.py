"""From a configuration to a trained and exported model."""
