"""Running text: found in files, read, held out, packed into examples."""
