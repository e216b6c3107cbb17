"""Latency measurement (the latency lab): sessions, intervals, servers, costs; docs/latency.md has
the protocol."""
