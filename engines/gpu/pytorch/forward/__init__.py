"""The forward pass of an `Architecture` in PyTorch, over packed sequences.

::

    encoder         the pass through all layers
    attention       over sequences of unequal length
    row_ops         what is done to each token alone, between products and attention
    fused_rows      the same in fewer kernels
    triton_rows     these kernels, in Triton
    outputs         what follows the last layer: a logit, an embedding

Nothing here knows slots, streams or graphs, and nothing makes the host wait for the device.
"""
