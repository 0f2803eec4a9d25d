"""Facts about datasets, a short file each."""
