"""The trunk: studies, training, runs, tuning, statistics, latency, decision and the command line."""
