"""ONNX: the graphs that we write ourselves, and the engine of ONNX Runtime.

`graph.py` writes the graph of any family's description, for TensorRT, for ONNX Runtime and for
tests; `engine.py` runs it, or the exported graph that a folder brings (`exported_graph.py`).
"""
