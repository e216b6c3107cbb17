"""What turns features into a logit."""
