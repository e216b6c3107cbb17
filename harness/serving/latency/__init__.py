"""The latency lab: sessions, intervals, servers, costs; the protocol is in docs/latency.md."""
