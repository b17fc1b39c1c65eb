"""Trains rerankers: from question-passage pairs to a model folder that the server loads.

Files of pairs come in; the folder of a run goes out, with its mined groups, log, checkpoints and,
if it is better than what it has to beat, the model. `preparing.py` mines, `run.py` trains, chooses
and judges, `loop.py` has the steps, which `examples/` prepares and `computing/` computes.
Uses the client, the engines and `evaluation`; only `commands` and `benchmarks` import it.
"""
