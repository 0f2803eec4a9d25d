"""The run folder: what it holds, who works in it, and what was read for it."""
