"""The ledger of a sweep: the record of its trials, and what they found, as data."""
