"""Models of random weights whose outputs tell every part of the computation apart."""

import torch
from torch import nn
from transformers import PreTrainedModel

HIDDEN_SIZE = 64
NUM_HEADS = 2
INTERMEDIATE_SIZE = 128
NUM_LAYERS = 4


def with_random_weights(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """Replaces every parameter of a model, in place.

    As transformers initialises them, weights are so small that attention looks at all tokens
    alike, biases are zero and norms the identity: much could be left out and not be missed. Here
    scores of attention spread over some units, and no bias and no norm is without effect.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = {id(p) for m in model.modules() if isinstance(m, nn.LayerNorm) for p in m.parameters()}
    tables = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if id(parameter) in norms:
                drawn = (1.0 if name.endswith("weight") else 0.0) + 0.2 * drawn
            elif id(parameter) not in tables:
                drawn *= 0.2 if drawn.ndim == 1 else 1.3 / drawn.shape[-1] ** 0.5
            parameter.copy_(drawn)
    return model.eval()
