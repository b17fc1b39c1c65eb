"""What follows an encoder's last layer in PyTorch, in float32: a logit, or an embedding.

Token vectors are packed `[num_tokens, hidden_size]`; `n` is the number of sequences. Nothing here
makes the host wait for the device.
"""

from collections.abc import Callable
from typing import Any

from twopass.engines.gpu.pytorch.forward.attention import PackedTokens
from twopass.engines.model.architecture import Activation, ClassifierHead, HeadPooling
from twopass.engines.model.pooling import EmbeddingHead, Pooling

Dense = tuple[Any, Any]
"""Weight `[out, in]` and bias `[out]`."""


def activation_of(torch: Any, activation: Activation | None) -> Callable[[Any], Any]:
    """The function of an activation, the identity for None."""
    functional = torch.nn.functional
    functions: dict[Activation | None, Callable[[Any], Any]] = {
        None: lambda x: x,
        Activation.GELU: functional.gelu,
        Activation.GELU_TANH: lambda x: functional.gelu(x, approximate="tanh"),
        Activation.RELU: torch.relu,
        Activation.SILU: functional.silu,
        Activation.TANH: torch.tanh,
    }
    return functions[activation]


class LogitOutput:
    """A reranker's head: pooled, dense, activation, LayerNorm, projection.

    Attributes:
        reads_first: Whether it reads the first token of each sequence alone.
    """

    def __init__(
        self,
        torch: Any,
        head: ClassifierHead,
        dense: Callable[[str], Dense],
        norm_eps: float,
    ) -> None:
        """Copies its tensors to the device.

        Args:
            torch: The package.
            head: Its description.
            dense: From a canonical name to its tensors in float32.
            norm_eps: Of its LayerNorm.
        """
        self._torch = torch
        self._pooling = Pooling.CLS if head.pooling is HeadPooling.CLS else Pooling.MEAN
        self.reads_first = self._pooling is Pooling.CLS
        self._activation = activation_of(torch, head.activation)
        self._dense = dense("head.dense")
        self._norm = dense("head.norm") if head.norm else None
        self._projection = dense("head.projection")
        self._norm_eps = norm_eps

    def __call__(self, hidden: Any, packed: PackedTokens) -> Any:
        """Logits `[n]`."""
        return self.of_pooled(_pooled(self._torch, self._pooling, hidden, packed))

    def of_pooled(self, pooled: Any) -> Any:
        """Logits `[n]` of the vectors that it reads, `[n, hidden_size]`."""
        functional = self._torch.nn.functional
        inner = self._activation(functional.linear(pooled, *self._dense))
        if self._norm is not None:
            inner = functional.layer_norm(inner, inner.shape[-1:], *self._norm, eps=self._norm_eps)
        return functional.linear(inner, *self._projection).squeeze(1)


class EmbeddingOutput:
    """An encoder's poolings side by side, Dense modules, L2 norm.

    Attributes:
        reads_first: Whether it reads the first token of each sequence alone.
    """

    def __init__(self, torch: Any, head: EmbeddingHead, dense: Callable[[str], Dense]) -> None:
        """Copies its tensors to the device; arguments as for `LogitOutput`."""
        self._torch = torch
        self._poolings = head.poolings
        self.reads_first = head.poolings == (Pooling.CLS,)
        self._layers = [
            (dense(f"embedding.dense.{number}"), activation_of(torch, layer.activation))
            for number, layer in enumerate(head.dense)
        ]

    def __call__(self, hidden: Any, packed: PackedTokens) -> Any:
        """Embeddings `[n, output_width]`."""
        torch = self._torch
        pooled = [_pooled(torch, pooling, hidden, packed) for pooling in self._poolings]
        return self.of_pooled(torch.cat(pooled, dim=1))

    def of_pooled(self, pooled: Any) -> Any:
        """Embeddings of the poolings side by side, `[n, hidden_size * num_poolings]`."""
        torch = self._torch
        for tensors, activation in self._layers:
            pooled = activation(torch.nn.functional.linear(pooled, *tensors))
        return torch.nn.functional.normalize(pooled, dim=1)


def _pooled(torch: Any, pooling: Pooling, hidden: Any, packed: PackedTokens) -> Any:
    """One vector a sequence, `[n, hidden_size]`."""

    def reduced(rows: Any, how: str) -> Any:
        # Unsafe is without checks of the lengths, for which the host would wait.
        return torch.segment_reduce(rows, how, lengths=packed.lengths, axis=0, unsafe=True)

    lengths = packed.lengths[:, None]
    match pooling:
        case Pooling.CLS:
            return hidden[packed.first]
        case Pooling.LAST:
            return hidden[packed.first + packed.lengths - 1]
        case Pooling.MAX:
            return reduced(hidden, "max")
        case Pooling.MEAN:
            return reduced(hidden, "sum") / lengths
        case Pooling.MEAN_SQRT_LEN:
            return reduced(hidden, "sum") / lengths.sqrt()
        case Pooling.WEIGHTED_MEAN:  # by 1, 2, 3, …, whose sum is length * (length + 1) / 2
            weighted = hidden * (packed.position[:, None] + 1)
            return reduced(weighted, "sum") * 2 / (lengths * (lengths + 1))
