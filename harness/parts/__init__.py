"""Every kind of part: what is shipped, what a file or an installed package adds, as a list."""
