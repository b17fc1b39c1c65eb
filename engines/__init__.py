"""Engines, tokenizers and models: what computes. The server sees them through `base` alone."""
