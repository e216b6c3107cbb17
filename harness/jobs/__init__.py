"""The three jobs from end to end: what runs, in which order, and what the user is told."""
