"""mmr: Unix tools for multimodal retrieval."""

__version__ = "0.1.0"
