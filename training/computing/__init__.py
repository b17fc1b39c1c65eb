"""What computes the steps of a training: loss, gradients, and the update of the weights.

Parts of a step come in, as `examples/` lays them out; what changes is the model. Nothing in a step
waits for the device. Imports PyTorch and transformers, of the extra training; knows neither mining
nor measuring.

::

    cross_encoder     the model, and its mean over steps
    packed_encoder    its forward pass over sequences end to end; attention, working_weights
    padded_encoder    in rectangles, for other families
    objective         the loss of groups
    update            one update of the weights
    devices           what suits a device, and copies to it
"""
