"""The operations of text-embeddings-inference, as plain types, for both of its wires.

`server/http/dialects/tei.py` speaks its HTTP, `servicers/` its tei.v1. What comes in was read by
them; what an operation does is decided here, with the pipelines of `search/` and `models/`.
"""
