"""Guesses about somebody's own files, for `init`."""
