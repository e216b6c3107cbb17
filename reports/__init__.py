"""Run-store reader, tables, figures, HTML and PDF; never torch."""
