"""Guesses a spec from a user's own files, for `init`."""
