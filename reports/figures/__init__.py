"""The drawings: drawn once in light, then re-inked for dark, for the page and for print."""
