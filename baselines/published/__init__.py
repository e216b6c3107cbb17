"""Models of the literature, each a file that reads like its paper."""
