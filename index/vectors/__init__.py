"""The nearest vectors: faiss behind a base, a delta and what is hidden.

Keys and vectors come in from the writer, keys and scores go out. Everything here can be built again
from the rows. No other room imports faiss.
"""
