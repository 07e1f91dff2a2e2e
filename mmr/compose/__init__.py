"""Query algebra: one query vector from pictures and words; one file a family."""
