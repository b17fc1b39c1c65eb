"""The engine `transformers`: what AutoModel runs and no other engine does, decoders first of all.

`modules.py` loads a model, `engine.py` answers batches, `decoding.py` computes what the sequences
of a batch begin with once, `prefixes.py` keeps it for the batches after, `padded.py` runs all other
models. Neither PyTorch nor transformers is imported before an engine is asked for.
"""
