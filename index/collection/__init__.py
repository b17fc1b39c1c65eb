"""One collection of the data folder: what can be asked of it, and what is written to it.

The facade that a store works with (`collection.py`), the queue of its writes, and what it makes of
documents. SQL and faiss stay in the rooms below.
"""
