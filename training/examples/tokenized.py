"""Groups as token ids: those of each training step, and whole ones to measure on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.training.examples.sampling import GroupArrays, StepSampler
from twopass.training.mining import Group
from twopass.training.options import TrainingOptions


@dataclass(frozen=True, slots=True)
class Example:
    """A question with all passages of its group.

    Attributes:
        pairs: Token ids of each pair, the answer's first.
        query_lengths: How many leading tokens of each pair are of token type 0; all of them where
            the tokenizer has no types.
    """

    pairs: list[Int32s]
    query_lengths: list[int]


class Examples:
    """Tokenised groups."""

    def __init__(
        self,
        passages: Ragged,
        groups: Sequence[Group],
        tokenizer: HuggingFaceTokenizer,
        options: TrainingOptions,
    ) -> None:
        """Tokenises every question once.

        Args:
            passages: Token ids of the passages; groups refer to them by number.
            groups: Groups to train or to measure on.
            tokenizer: The model's tokenizer.
            options: Sizes and seed.
        """
        self.groups = groups
        self.pad_id = tokenizer.pad_id
        self._options = options
        self._template = tokenizer.template
        self._passages = passages
        queries = [group.query for group in groups]
        self._queries = tokenizer.encode(queries, options.max_tokens // 2)

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.groups)

    def sampler(self) -> StepSampler:
        """What chooses the examples of each step."""
        return StepSampler(
            self._passages,
            self._queries,
            GroupArrays.of(self.groups),
            self._template,
            self._options,
        )

    def similarity(self) -> list[Float32s]:
        """The first pass's scores of every group, the answer's first."""
        return [np.array(group.similarity, np.float32) for group in self.groups]

    def whole(self, number: int) -> Example:
        """A group with all of its passages, to measure on."""
        batch, _ = self._template.assemble(
            self._queries[number],
            Ragged.from_rows([self._passages[p] for p in self.groups[number].passages]),
            self._options.max_tokens,
        )
        pairs = np.split(batch.token_ids, batch.offsets[1:-1])
        return Example(pairs, batch.query_lengths.tolist())
