"""Checks of every kind of part, shapes, multiply-accumulates: public."""
