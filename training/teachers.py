"""Teachers: rerankers, or the first pass, whose order a model learns beside the answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from twopass.engines.base import Tokenizer
from twopass.training.examples import Example
from twopass.training.pairs import TrainingError
from twopass.training.reading import opened

Teach: TypeAlias = Callable[[list[Example]], list[Example]]
"""Sets the teacher's logits in the examples of a step, as `Example.teaching`."""


def first_pass_teaches(examples: list[Example]) -> list[Example]:
    """Returns the examples unchanged: mining already set the first pass's scores."""
    return examples


@contextmanager
def teacher(model: str | None, tokenizer: Tokenizer) -> Iterator[Teach]:
    """Opens a teacher: a reranker, or the first pass where there is none.

    Args:
        model: A shipped model, a folder or a hub id.
        tokenizer: Tokenizer of the model that learns; the teacher must have the same, since it
            reads the same token ids.

    Raises:
        ModelError: The teacher is missing or damaged.
        TrainingError: The teacher is an encoder, or has another tokenizer.
    """
    if model is None:
        yield first_pass_teaches
        return
    with opened(model) as reader:
        if reader.model.tokenizer.fingerprint != tokenizer.fingerprint:
            raise TrainingError(f"teacher: {model} has another tokenizer than the base")

        def teach(examples: list[Example]) -> list[Example]:
            logits = reader.read(examples)
            return [
                replace(example, teaching=read.tolist())
                for example, read in zip(examples, logits, strict=True)
            ]

        yield teach
