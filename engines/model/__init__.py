"""A model's folder, read: its specification, tokenizer, architecture and weights.

Files come in, plain descriptions and arrays go out; no engine is known here.
"""
