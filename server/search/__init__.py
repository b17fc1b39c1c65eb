"""Both passes: from a query, or a candidate set, to an order.

`pipeline.py` runs a search, `reranking.py` candidate sets that callers bring. What comes in and
goes out are the plain types of `types.py`; messages of any contract stay in the surfaces, which may
import this room and may not be imported by it.
"""
