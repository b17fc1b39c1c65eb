"""Collections: documents in SQLite, the source of truth; a faiss index derived from them."""
