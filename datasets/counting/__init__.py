"""Counters: what a user, an item or a combination of attributes did before a moment, as numbers of
a row."""
