"""The report: evidence, tables, figures, HTML and PDF; never imports torch."""
