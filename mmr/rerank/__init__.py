"""Hits in, hits out: refined, fused, cut, made diverse, assigned, or scored by a model."""
