"""What turns a history into one vector per candidate."""
