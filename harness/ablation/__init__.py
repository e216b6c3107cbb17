"""Ablations: strategies without one of their parts, trained and compared like any run."""
