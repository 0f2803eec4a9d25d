"""Devices and processes: starting them, how they agree, what happens when memory or time runs out."""
