"""What a family is to the readers of models: its configuration and the places of its tensors."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from twopass.engines.model.architecture import Architecture


@dataclass(frozen=True, slots=True)
class Source:
    """Where the weight and the bias of a canonical module lie in a family's files.

    Attributes:
        name: Of the module, without `.weight` and without what an export puts before all names.
        part: Which of `parts` equal blocks of rows, where projections are fused.
        parts: How many there are.
        bias: Whether it has one; zeros stand for one that a family leaves out.
    """

    name: str
    part: int = 0
    parts: int = 1
    bias: bool = True


Sources: TypeAlias = Mapping[str, Source]
"""By the canonical names of modules: `layers.0.attention.query`, …"""


@dataclass(frozen=True, slots=True)
class Family:
    """A family of encoders.

    Attributes:
        read: From `config.json` to its description; raises as `read_architecture` does.
        sources: Where its tensors lie, given `config.json` and the names of the tensors there are
            (without the export's prefix): some families are published under two layouts.
        words: Name of the table of words, by which an export's prefix is found.
        relative_bias: Name of the tensor `[num_buckets, num_heads]` of MPNet's biases; None where
            the bias is computed or missing.
    """

    read: Callable[[Mapping[str, Any]], Architecture]
    sources: Callable[[Mapping[str, Any], Container[str]], Sources]
    words: str = "embeddings.word_embeddings"
    relative_bias: str | None = None
