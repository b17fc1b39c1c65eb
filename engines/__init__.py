"""Engines, tokenizers and models: what computes. `base` is the seam the server sees them through."""
