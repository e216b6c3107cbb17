"""From joint models to table rows, verdicts and sentences."""
