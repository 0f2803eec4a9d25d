"""Sweeps: many trials under one name, and how they run: begun, resumed, ended early, recorded."""
