"""Files: written whole or not at all, read though others wrote them, locked, downloaded."""
