"""Collections on disk and in memory: documents, their vectors, their words.

`store/` finds collections by name, `collection/` is the facade of one; below it `rows/` keeps the
documents in SQLite, the one source of truth, from which `vectors/` (faiss) and `words/` derive
what they search. It knows nothing of servers, messages or models: embeddings and token ids come in
ready.
"""
