"""One number per tower."""
