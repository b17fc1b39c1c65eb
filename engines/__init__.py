"""What computes: engines, and the models they run.

`base.py` is the seam that everything above works with, `errors.py` what can go wrong, `loading.py`
goes from a name to a model ready to serve. `model/` reads folders and tokenizers; `cpu/`, `onnx/`
and `gpu/` are the engines. Nothing here knows of collections, requests or servers.
"""
