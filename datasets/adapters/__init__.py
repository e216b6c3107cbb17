"""Published data layouts, each yielding a data set spec."""
