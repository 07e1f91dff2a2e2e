"""Corrections of scores and vectors: hubness, modality gap, score scales, chances of relevance."""
