"""The configuration: its types, its allowed values, and how a run's own is kept and compared."""
