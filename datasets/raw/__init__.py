"""Raw files: finding them, reading them in chunks, and reporting what is wrong with them."""
