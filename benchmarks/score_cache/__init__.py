"""What the cache of scores gives, and that it never answers a stale one.

`python -m twopass.benchmarks.score_cache` starts servers of its own, asks them queries of which few
are asked often, as people ask (`zipf.py`), then changes documents while others search, and compares
every score with one that is computed anew (`staleness.py`).
"""
