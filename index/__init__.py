"""Collections: documents, their vectors, their words.

`base.py` is the interface of every store, and beside it lie the plain types that all of them take
and give. The default store keeps a data folder: `store/` finds collections by name, `collection/`
is the facade of one; below it `rows/` keeps the documents in SQLite, the one source of truth, from
which `vectors/` (faiss) and `words/` derive what they search. Other stores have a room each, and
know nothing of these. None knows of servers, messages or models: embeddings and token ids come in
ready.
"""
