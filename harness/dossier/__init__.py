"""Reads a study once and makes its comparison, its decision, and the evidence of its report."""
