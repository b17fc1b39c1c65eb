"""Groups as token ids, and the groups of each training step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twopass.engines.base import Float32s, Int32s, Ragged
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.training.mining import Group
from twopass.training.options import TrainingOptions


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the passages of one group that take part in a step.

    Attributes:
        pairs: Token ids of each pair, the answer's first.
        query_lengths: How many leading tokens of each pair are of token type 0; all of them where
            the tokenizer has no types.
        teaching: The teacher's logit of each pair.
    """

    pairs: list[Int32s]
    query_lengths: list[int]
    teaching: list[float]


class Examples:
    """Tokenised groups. The same seed and step give the same examples, so a run can be resumed."""

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
        self._range_of = _ranges(groups)

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.groups)

    def of_step(self, step: int) -> list[Example]:
        """The examples of one step, counted from 0, taught by the first pass.

        Every group comes once an epoch.
        """
        size = self._options.questions
        rng = np.random.default_rng([self._options.seed, step])
        steps_per_epoch = max(len(self) // size, 1)
        epoch, place = divmod(step, steps_per_epoch)
        order = np.random.default_rng([self._options.seed, 1, epoch]).permutation(len(self))
        chosen = order[place * size : (place + 1) * size]
        return [self._sampled(int(number), rng) for number in chosen]

    def similarity(self) -> list[Float32s]:
        """The first pass's scores of every group, the answer's first."""
        return [np.array(group.similarity, np.float32) for group in self.groups]

    def whole(self, number: int) -> Example:
        """A group with all of its passages, to measure on."""
        group = self.groups[number]
        return self._example(number, list(group.passages), list(group.similarity))

    def _sampled(self, number: int, rng: np.random.Generator) -> Example:
        group, options = self.groups[number], self._options
        num_mined = min(options.negatives - options.random_negatives, len(group.passages) - 1)
        places = [0, *(1 + rng.permutation(len(group.passages) - 1)[:num_mined])]
        first, last = self._range_of[group.source]
        others = rng.integers(first, last + 1, options.negatives - num_mined).tolist()
        known = set(group.passages)
        others = [other for other in others if other not in known]
        least = min(group.similarity)
        return self._example(
            number,
            [group.passages[p] for p in places] + others,
            [group.similarity[p] for p in places] + [least] * len(others),
        )

    def _example(self, number: int, passages: list[int], similarity: list[float]) -> Example:
        query = self._queries[number]
        batch, _ = self._template.assemble(
            query,
            Ragged.from_rows([self._passages[p] for p in passages]),
            self._options.max_tokens,
        )
        pairs = np.split(batch.token_ids, batch.offsets[1:-1])
        teaching = [cosine / self._options.teacher_temperature for cosine in similarity]
        return Example(pairs, batch.query_lengths.tolist(), teaching)


def _ranges(groups: Sequence[Group]) -> dict[str, tuple[int, int]]:
    """The lowest and the highest number of a passage, by source."""
    ranges: dict[str, tuple[int, int]] = {}
    for group in groups:
        first, last = ranges.get(group.source, (group.passages[0], group.passages[0]))
        ranges[group.source] = min(first, *group.passages), max(last, *group.passages)
    return ranges
