"""The weights that a step computes with: copies of what is trained, in the types of their use.

Weights are kept and updated in float32, since an update is often smaller than bfloat16 can add.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

Parameters = Sequence[torch.nn.Parameter]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of one parameter, or of several one below another: projections that are one product.

    Attributes:
        tensor: The copy. Where its type is the parameter's, the parameter itself.
        of: The parameters.
    """

    tensor: torch.Tensor
    of: tuple[torch.nn.Parameter, ...]

    @property
    def is_trained(self) -> bool:
        """Whether gradients are wanted of it."""
        return bool(self.of[0].requires_grad)


class WorkingWeights:
    """All copies: filled at the beginning of a step, and the gradients that come back.

    A step has a handful of launches for all of them together, and no wait.
    """

    def __init__(self) -> None:
        """Begins without any."""
        self._copies: list[Copy] = []
        self._is_first = True

    def copy(self, *parameters: torch.nn.Parameter, dtype: torch.dtype) -> torch.Tensor:
        """A tensor that holds the parameters in this type, one below another, in every step."""
        with torch.no_grad():
            if len(parameters) == 1 and parameters[0].dtype is dtype:
                tensor: torch.Tensor = parameters[0]
            else:
                tensor = torch.cat([p.detach().to(dtype) for p in parameters])
                tensor.requires_grad_(parameters[0].requires_grad)
        self._copies.append(Copy(tensor, parameters))
        return tensor

    def prepare(self) -> None:
        """Makes room for gradients; called once, when all copies are made."""
        self._trained = [copy for copy in self._copies if copy.is_trained]
        self._leaves = [copy.tensor for copy in self._trained]
        parameters = [parameter for copy in self._trained for parameter in copy.of]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        self._gradients = [parameter.grad for parameter in parameters]
        renewed = [copy for copy in self._trained if copy.tensor is not copy.of[0]]
        self._masters = [parameter.detach() for copy in renewed for parameter in copy.of]
        self._rows = [rows for copy in renewed for rows in _rows(copy.tensor.detach(), copy)]

    def renew(self) -> None:
        """Begins a step: copies what the last update made of the parameters."""
        if self._rows:
            torch._foreach_copy_(self._rows, self._masters)
        self._is_first = True

    def backward(self, loss: torch.Tensor) -> None:
        """Computes gradients, and adds them to those of the step's earlier parts, in float32.

        Args:
            loss: A scalar.
        """
        gradients = torch.autograd.grad(loss, self._leaves)
        parts = [
            rows
            for gradient, copy in zip(gradients, self._trained, strict=True)
            for rows in _rows(gradient, copy)
        ]
        if self._is_first:
            torch._foreach_copy_(self._gradients, parts)
        else:
            torch._foreach_add_(self._gradients, parts)
        self._is_first = False


def _rows(tensor: torch.Tensor, copy: Copy) -> Sequence[torch.Tensor]:
    """The rows of each parameter."""
    if len(copy.of) == 1:
        return (tensor,)
    rows: Sequence[torch.Tensor] = tensor.split([len(parameter) for parameter in copy.of])
    return rows
