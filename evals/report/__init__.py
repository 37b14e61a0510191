"""The report of a study, and the comparison of two: verdicts in words, figures, tables, every question."""
