"""All kinds of parts: those that ship, and those that files or installed packages add."""
