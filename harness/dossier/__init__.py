"""A study read once: its comparison, its decision, and the evidence of its report."""
