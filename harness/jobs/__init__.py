"""The three jobs end to end: what is run, in which order, and how it is told."""
