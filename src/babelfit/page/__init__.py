"""Scores of a run as one page that opens from the disk, and as figures; reads run folders and data, no model."""
