"""The latency lab: what a request costs, on what would ship."""
