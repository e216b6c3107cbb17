"""Counters: what a user, an item or a pair of attributes did before a moment, as numbers of a
row."""
