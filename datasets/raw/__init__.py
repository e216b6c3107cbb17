"""Raw files: finding them, reading them in chunks, and saying what is wrong with them."""
