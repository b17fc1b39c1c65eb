"""ONNX: the graphs that we write ourselves, and the engine of ONNX Runtime.

`graph.py` writes a BERT-family model's graph from its weights, for TensorRT and for tests;
`engine.py` runs whatever `model.onnx` a folder brings.
"""
