"""A form of a family: a folder as people have it, and what the reference computes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.model import ModelKind


@dataclass(frozen=True, slots=True)
class Expected:
    """What transformers, or sentence-transformers, computed in float32.

    Attributes:
        token_ids: Of each sequence as the reference's tokenizer gives them.
        values: Logits `[n]`, or embeddings `[n, width]`, L2-normalised.
    """

    token_ids: list[list[int]]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Form:
    """A small random model in one of the forms in which its family is published.

    Attributes:
        family: `model_type`, or another name that users know it by.
        name: What tells this form from the family's others.
        kind: Encoder or reranker.
        write: Writes the folder and computes what is expected of it.
        refusal: Regular expression of the sentence by which the folder is refused, whatever the
            engine; None where it is read.
        refused_by: The same for engines that do not run what others do, by name.
    """

    family: str
    name: str
    kind: ModelKind
    write: Callable[[Path], Expected | None]
    refusal: str | None = None
    refused_by: Mapping[str, str] = field(default_factory=dict)
