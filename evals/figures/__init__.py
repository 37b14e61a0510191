"""Figures of a study: rows first, then a picture of them that does no arithmetic."""
