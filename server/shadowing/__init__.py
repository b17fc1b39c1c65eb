"""Shadow comparisons: what another second pass would have made of searches that were answered.

A share of searches is reranked once more after its answer has gone, by another reranker, to another
depth or with another blend (`server/shadow_spec.py`), in moments when the device has nothing else
to do and below all other work (`reordering.py`). Both orders are compared with each other
(`agreement.py`), and where feedback names documents of the search, by whether the shadow's is
better: by a test that may be looked at any time (`evidence.py`). Sums are kept over restarts
(`sums.py`); `results.py` is what reports and metrics are made of. Above `search/` and `feedback/`,
below the surfaces.
"""
