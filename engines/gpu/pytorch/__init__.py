"""The engine torch: packed batches in PyTorch, on an NVIDIA GPU or a CPU.

::

    engine      a model, and the slots that feed it
    graphs/     slots that launch a forward pass as one CUDA graph
    forward/    the forward pass itself

`engine` stands on `graphs/`, and both on `forward/`.
"""
