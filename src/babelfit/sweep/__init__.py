"""Sweeps: many trials under one name, which are begun, resumed, recorded and compared."""
