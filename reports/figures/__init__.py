"""The figures: drawn once in light colours, then recoloured for dark mode, the page and print."""
