"""The command line, one verb a file; heavy imports stay inside the commands."""
