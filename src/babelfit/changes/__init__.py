"""What is done to a model before it is trained, and undone in what is exported: a file for each change."""
