"""Teachers: rerankers, or the first pass, whose order a model learns beside the answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from twopass.engines.base.tokenizer import Tokenizer
from twopass.training.examples.layout import Part
from twopass.training.pairs import TrainingError
from twopass.training.reading import opened

Teach: TypeAlias = Callable[[Part], None]
"""Sets the teacher's logits in a part of a step, as `PartArrays.teaching`."""


@contextmanager
def teacher(model: str | None, tokenizer: Tokenizer) -> Iterator[Teach | None]:
    """Opens a teacher: a reranker, or None for the first pass, whose scores mining has set.

    Args:
        model: A shipped model, a folder or a hub id.
        tokenizer: Tokenizer of the model that learns; the teacher must have the same, since it
            reads the same token ids.

    Raises:
        ModelError: The teacher is missing or damaged.
        TrainingError: The teacher is an encoder, or has another tokenizer.
    """
    if model is None:
        yield None
        return
    with opened(model) as reader:
        if reader.model.tokenizer.fingerprint != tokenizer.fingerprint:
            raise TrainingError(f"teacher: {model} has another tokenizer than the base")

        def teach(part: Part) -> None:
            arrays, num_pairs = part.arrays, part.shape.pairs
            logits = reader.read_pairs(
                arrays.token_ids, arrays.offsets[: num_pairs + 1], arrays.query_lengths[:num_pairs]
            )
            is_there = arrays.rows >= 0
            arrays.teaching[is_there] = logits[arrays.rows[is_there]]

        yield teach
