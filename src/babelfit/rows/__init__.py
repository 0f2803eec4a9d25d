"""Labelled rows: found in files, read, turned into tokens once and cached."""
