"""A server whose models other processes compute: its speed by their number, and what a loss costs.

`slowed.py` is an engine of a fixed speed, so that a machine of few cores has room for several;
`process.py` runs servers as processes; `measuring.py` loads them; `__main__.py` prints what came of
it. `python -m twopass.benchmarks.fleet`, or `make fleet`.
"""
