"""Documents that the base lacks, searched in memory: runs of postings, sorted by term."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.words.encoding import EncodedWords, Postings, WordTexts
from twopass.index.words.scoring import K1, kept_lengths, length_parts

# So many runs of about a size become one: a term is looked up in each run.
_RUNS_OF_A_SIZE = 4


@dataclass(frozen=True, eq=False)
class Run:
    """Documents that came one after the other. Immutable: hiding one makes another run.

    Attributes:
        keys: int64 `[num_documents]`, ascending.
        hidden: Which of them no search may find, bool `[num_documents]`.
        postings: Their terms.
        texts: Their words as the base takes them.
    """

    keys: Int64s
    hidden: Bools
    postings: Postings
    texts: tuple[WordTexts, ...]

    @classmethod
    def of(cls, keys: Int64s, words: EncodedWords) -> "Run":
        """A run of new documents, none of them hidden."""
        return cls(keys, np.zeros(len(keys), np.bool_), words.postings, words.texts)

    def __len__(self) -> int:
        """How many documents there are, including hidden ones."""
        return len(self.keys)

    @cached_property
    def num_visible(self) -> int:
        """How many documents a search can find."""
        return len(self.keys) - int(np.count_nonzero(self.hidden))

    @cached_property
    def num_terms(self) -> int:
        """The terms of all visible documents together, each as often as it occurs."""
        return int(self.postings.lengths[~self.hidden].sum())

    @cached_property
    def num_characters(self) -> int:
        """Characters of `texts`, hidden documents included: most of the memory of long ones."""
        return sum(len(text.terms) + len(text.atoms) for text in self.texts)

    @cached_property
    def _kept_lengths(self) -> Float32s:
        return kept_lengths(self.postings.lengths)

    def hide(self, keys: Int64s) -> "Run":
        """The run with some documents hidden; unknown keys are ignored."""
        positions = np.searchsorted(self.keys, keys)
        positions[positions == len(self.keys)] = 0
        positions = positions[self.keys[positions] == keys] if len(self.keys) else positions[:0]
        if not len(positions):
            return self
        hidden = self.hidden.copy()
        hidden[positions] = True
        return replace(self, hidden=hidden)

    def without_hidden(self) -> "Run":
        """A run of the visible documents alone."""
        visible = ~self.hidden
        return Run.of(self.keys[visible], EncodedWords(self.texts, self.postings).some(visible))

    def num_holders(self, hashes: Int64s) -> Int64s:
        """How many visible documents hold each term, int64 `[num_hashes]`."""
        first, end = self._ranges(hashes)
        counts: Int64s = end - first
        if self.num_visible < len(self.keys):
            hidden = self.hidden[self.postings.documents[_joined(first, end)]]
            counts = counts - np.bincount(
                np.repeat(np.arange(len(hashes)), counts)[hidden], minlength=len(hashes)
            )
        return counts

    def scores(self, hashes: Int64s, weights: Float32s, average: float) -> Float32s:
        """BM25 of every document, float32 `[num_documents]`; 0 where it holds none of the terms.

        Args:
            hashes: Of distinct terms, int64 `[num_hashes]`.
            weights: Their idf, float32 `[num_hashes]`.
            average: The average length of a document.
        """
        first, end = self._ranges(hashes)
        chosen = _joined(first, end)
        documents, counts = self.postings.documents[chosen], self.postings.counts[chosen]
        parts = length_parts(self._kept_lengths, average)[documents]
        each = np.repeat(weights, end - first) * (K1 + 1) * counts / (counts + parts)
        return np.bincount(documents, each, minlength=len(self.keys)).astype(np.float32)

    def _ranges(self, hashes: Int64s) -> tuple[Int64s, Int64s]:
        """Where the postings of each term begin and end."""
        known = self.postings.hashes
        return np.searchsorted(known, hashes), np.searchsorted(known, hashes, side="right")


def with_run(runs: Sequence[Run], added: Run) -> tuple[Run, ...]:
    """Runs and one more at their end, of which some of about a size have become one."""
    joined = [*runs, added]
    while len(tail := joined[-_RUNS_OF_A_SIZE:]) == _RUNS_OF_A_SIZE:
        if len(tail[0]) > _RUNS_OF_A_SIZE * max(len(run) for run in tail[1:]):
            break
        joined[-_RUNS_OF_A_SIZE:] = [_merged(tail)]
    return tuple(run for run in joined if run.num_visible)


def _merged(runs: Sequence[Run]) -> Run:
    """One run of the visible documents of several."""
    shown = [run if run.num_visible == len(run) else run.without_hidden() for run in runs]
    starts = np.cumsum([0, *(len(run) for run in shown)], dtype=np.int32)
    hashes = np.concatenate([run.postings.hashes for run in shown])
    documents = [run.postings.documents + start for run, start in zip(shown, starts, strict=False)]
    order = np.argsort(hashes, kind="stable")  # what is sorted in parts is merged
    postings = Postings(
        hashes[order],
        np.concatenate(documents)[order],
        np.concatenate([run.postings.counts for run in shown])[order],
        np.concatenate([run.postings.lengths for run in shown]),
    )
    keys = np.concatenate([run.keys for run in shown])
    texts = tuple(chain.from_iterable(run.texts for run in shown))
    return Run.of(keys, EncodedWords(texts, postings))


def _joined(first: Int64s, end: Int64s) -> Int64s:
    """All positions from each `first` to before its `end`, one range after the other."""
    counts = end - first
    starts = np.cumsum(counts) - counts
    joined: Int64s = np.repeat(first - starts, counts) + np.arange(int(counts.sum()))
    return joined
