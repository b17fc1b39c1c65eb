"""The arbiter of a device: which sequences go into its next batch.

Token batches of requests come in, batches go to engines through `engines.base`, and every request
gets its own part of the output back. It decides by kind, fairness, deadlines and the measured speed
of each engine. It imports `engines.base` and `engines.errors` alone of engines, nothing of models.
"""
