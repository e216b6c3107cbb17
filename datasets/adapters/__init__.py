"""Adapters of published data layouts; each proposes a data set spec."""
