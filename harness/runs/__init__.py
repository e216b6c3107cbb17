"""Studies, run specs and the run store."""
