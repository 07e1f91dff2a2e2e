"""Corrections of scores and vectors: hubness, score scales."""
