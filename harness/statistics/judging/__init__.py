"""From joint models to rows, verdicts and sentences."""
