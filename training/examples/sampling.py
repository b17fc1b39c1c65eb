"""Which pairs a step trains on, as token ids end to end: computed for all pairs of a step at once.

Arrays alone, so that other processes can map them (`shared_memory.py`); neither PyTorch nor a
tokenizer is imported here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s, Int32s, PairTemplate, Ragged
from twopass.training.options import TrainingOptions

if TYPE_CHECKING:  # it brings a client's packages, which processes that prepare examples don't need
    from twopass.training.mining import Group


@dataclass(frozen=True, slots=True)
class StepExamples:
    """The groups of one step, one after another.

    Attributes:
        pairs: Token ids of every pair, group by group, the answer's first.
        query_lengths: How many leading tokens of each pair are of token type 0; all of them where
            the tokenizer has no types. int32 `[num_pairs]`.
        group_sizes: Pairs of each group, int64 `[num_groups]`.
        teaching: The teacher's logit of each pair, float32 `[num_pairs]`.
    """

    pairs: Ragged
    query_lengths: Int32s
    group_sizes: NDArray[np.int64]
    teaching: Float32s


@dataclass(frozen=True, slots=True)
class GroupArrays:
    """Groups as arrays.

    Attributes:
        ends: Where the members of each group begin in `members`, and their end, int64
            `[num_groups + 1]`.
        members: Numbers of passages, each group's answer first, int64.
        similarity: The first pass's cosine of each member, float64.
        sources: Lowest and highest number of a passage of each group's source, int64
            `[num_groups, 2]`.
    """

    ends: NDArray[np.int64]
    members: NDArray[np.int64]
    similarity: NDArray[np.float64]
    sources: NDArray[np.int64]

    @classmethod
    def of(cls, groups: "Sequence[Group]") -> "GroupArrays":
        """Reads mined groups."""
        ranges = _ranges(groups)
        ends = np.zeros(len(groups) + 1, np.int64)
        np.cumsum([len(group.passages) for group in groups], out=ends[1:])
        return cls(
            ends,
            np.fromiter(chain.from_iterable(g.passages for g in groups), np.int64, ends[-1]),
            np.fromiter(chain.from_iterable(g.similarity for g in groups), np.float64, ends[-1]),
            np.array([ranges[group.source] for group in groups], np.int64).reshape(-1, 2),
        )

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.ends) - 1


class StepSampler:
    """Examples of any step. They follow from seed and step alone, so a run resumes at any."""

    def __init__(
        self,
        passages: Ragged,
        queries: Ragged,
        groups: GroupArrays,
        template: PairTemplate,
        options: TrainingOptions,
    ) -> None:
        """Takes what is tokenised.

        Args:
            passages: Token ids of the passages; groups refer to them by number.
            queries: Token ids of each group's question.
            groups: Groups to train on.
            template: Where special tokens go in a pair.
            options: Sizes and seed.
        """
        self._passages = passages
        self._queries = queries
        self._groups = groups
        self._template = template
        self._options = options
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def of_step(self, step: int) -> StepExamples:
        """The examples of one step, counted from 0, taught by the first pass.

        An epoch is as many whole steps as there are groups for. No group comes twice in it; those
        that are left over are others in each epoch.
        """
        size = self._options.questions
        rng = np.random.default_rng([self._options.seed, step])
        epoch, place = divmod(step, max(len(self._groups) // size, 1))
        chosen = self._order_of(epoch)[place * size : (place + 1) * size].tolist()
        sampled = [self._sampled(number, rng) for number in chosen]
        sizes = np.array([len(passages) for passages, _ in sampled], np.int64)
        pairs, query_lengths = self._paired(
            np.repeat(chosen, sizes), np.concatenate([passages for passages, _ in sampled])
        )
        cosines = np.concatenate([similarity for _, similarity in sampled])
        teaching = (cosines / self._options.teacher_temperature).astype(np.float32)
        return StepExamples(pairs, query_lengths, sizes, teaching)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            rng = np.random.default_rng([self._options.seed, 1, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self._groups))
        return self._order

    def _sampled(
        self, number: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Passages of a group that take part, the answer first, and their cosines."""
        groups, options = self._groups, self._options
        members = groups.members[groups.ends[number] : groups.ends[number + 1]]
        similarity = groups.similarity[groups.ends[number] : groups.ends[number + 1]]
        num_mined = min(options.negatives - options.random_negatives, len(members) - 1)
        places = np.zeros(1 + num_mined, np.int64)
        places[1:] = 1 + rng.permutation(len(members) - 1)[:num_mined]
        first, last = groups.sources[number]
        others = rng.integers(first, last + 1, options.negatives - num_mined)
        others = others[~(others[:, None] == members).any(1)]
        return (
            np.concatenate([members[places], others]),
            np.concatenate([similarity[places], np.full(len(others), similarity.min())]),
        )

    def _paired(
        self, query: NDArray[np.int64], passage: NDArray[np.int64]
    ) -> tuple[Ragged, Int32s]:
        """Pairs of queries and passages by their numbers, and how many tokens are of type 0.

        What `PairTemplate.assemble` gives for one query and its passages, of many queries.
        """
        template = self._template
        prefix, separator, suffix = (
            np.array(part, np.int32)
            for part in (template.prefix, template.separator, template.suffix)
        )
        query_len = self._queries.lengths[query].astype(np.int64)
        room = self._options.max_tokens - template.num_pair_tokens - query_len
        passage_len = np.minimum(self._passages.lengths[passage].astype(np.int64), room)
        lengths = template.num_pair_tokens + query_len + passage_len
        offsets = np.zeros(len(query) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        begins = offsets[:-1]

        token_ids = np.empty(offsets[-1], np.int32)
        after_query = begins + len(prefix) + query_len
        token_ids[_grid(begins, len(prefix))] = prefix
        _copy(token_ids, begins + len(prefix), self._queries, query, query_len)
        token_ids[_grid(after_query, len(separator))] = separator
        _copy(token_ids, after_query + len(separator), self._passages, passage, passage_len)
        token_ids[_grid(offsets[1:] - len(suffix), len(suffix))] = suffix

        if template.passage_type == 0:
            of_query = lengths
        else:
            of_query = len(prefix) + query_len + min(template.num_query_separators, len(separator))
        return Ragged(token_ids, offsets.astype(np.int32)), of_query.astype(np.int32)


def _grid(begins: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Places of `count` tokens from each beginning on, `[num_pairs, count]`."""
    return begins[:, None] + np.arange(count)


def _copy(
    token_ids: Int32s,
    to: NDArray[np.int64],
    rows: Ragged,
    numbers: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """Copies the beginnings of rows, each to its place."""
    ends = np.cumsum(lengths)
    inside = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    places = np.repeat(to, lengths) + inside
    token_ids[places] = rows.token_ids[np.repeat(rows.offsets[numbers], lengths) + inside]


def _ranges(groups: "Sequence[Group]") -> dict[str, tuple[int, int]]:
    """The lowest and the highest number of a passage, by source."""
    ranges: dict[str, tuple[int, int]] = {}
    for group in groups:
        first, last = ranges.get(group.source, (group.passages[0], group.passages[0]))
        ranges[group.source] = min(first, *group.passages), max(last, *group.passages)
    return ranges
