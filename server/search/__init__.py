"""Both passes: from a query, or a candidate set, to an order.

`pipeline.py` runs a search: `first_pass.py` finds candidates, `candidates.py` holds them between
both passes, `second_pass.py` scores them. `ends.py` says until when each part is waited for,
`causes.py` why one is missing. `reranking.py` and `open_set.py` order candidate sets that callers
send. The plain types of `types.py` come in and go out; messages of any contract stay in the
surfaces, which may import this room and may not be imported by it.
"""
