"""One collection: its schema, what can be asked of it, and the order of what is found.

The facade that a server works with (`collection.py`), the documents that go in and out, the tokens
of pages and of states, and the fusion of two lists. SQL and faiss stay in the rooms below.
"""
