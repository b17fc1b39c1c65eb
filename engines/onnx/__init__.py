"""ONNX: the graphs that we write ourselves, and the engine of ONNX Runtime.

`graph.py` writes the graph of any family's description, for TensorRT, for ONNX Runtime and for
tests; `engine.py` runs it, or the exported graph that a folder brings (`exported_graph.py`).
"""

import os

# Since 1.29 the builds of ONNX Runtime on PyPI report to Microsoft from Linux too, and keep a
# device's identifier in the home folder. The variable is read once, when the library is loaded, and
# all that a server loads it by is in this package. Whoever wants the reports sets it to 0.
# https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
