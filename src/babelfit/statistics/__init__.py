"""Statistics over examples: knows arrays only."""
