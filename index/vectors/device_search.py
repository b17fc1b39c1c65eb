"""Searches of a base by its copy on a GPU: many in one call, and each as if it were alone.

The GPU finds, the master scores: what a search was found by there is compared once more by the
master's own arithmetic, so that a hit's score is the same bit for bit whoever found it and whatever
was searched beside it. Some more than `k` are fetched for that, and many more where a filter or
deleted vectors may take some away. What the GPU can't answer as well as the CPU would is said to
be unanswered:

=========  =======================================================================================
form       an answer
=========  =======================================================================================
float32    is exact: every vector was compared, with sums rounded as on any processor
float16    is exact where the k-th of the master's scores is above what any vector that was not
           fetched can have, by the bound on half precision's error; else it says it is not
lists      is what so many of the nearest lists hold; exact where these were all
graph      is what a walk came by; never exact
=========  =======================================================================================

Of lists and graphs, whose filtered answers may be of vectors that lie far from the query, one is
believed by the rule of `belief`.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import faiss
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.kinds import Breadth, IndexKind
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.belief import is_believed, num_holding
from twopass.index.vectors.effort import SEEN_PER_FOUND
from twopass.index.vectors.exact_search import empty_like, scores_at
from twopass.index.vectors.gpu_device import (
    MAX_GRAPH_NEIGHBOURS,
    MAX_NEIGHBOURS,
    DeviceCopy,
    Form,
    GpuDevice,
    is_for_want_of_memory,
)
from twopass.index.vectors.rounding import share_lost, with_spare

QUERIES_PER_DEVICE_CALL = 256
"""Most queries of one call, so that the first of them need not wait long for the last.

An H200 compares them with a million vectors in some 20 ms.
"""
# Widths of calls: searches of one width share one.
_WIDTHS = (64, 128, 256, MAX_GRAPH_NEIGHBOURS, 1_024, MAX_NEIGHBOURS)
# A graph keeps candidates by multiples of a warp.
_WARP = 32
_HALF_ERROR = 2.0**-10 * (1 + 2.0**-12)  # of a product of two components rounded to 11 bits
_TINY_HALF = 2.0**-24  # what rounding takes of a component below half precision's normal numbers
# A copy proves itself on so many of its own vectors before it answers anybody.
_PROBES, _PROBE_K = 16, 10
_PROBE_TOLERANCE = 0.05  # share of neighbours; of lists and graphs
_SAME = 1e-3  # by which scores may differ and still be of vectors equally near


@dataclass(frozen=True, slots=True, eq=False)
class DeviceSearch:
    """A search, as a copy is asked for it.

    Attributes:
        queries: float32 `[num_queries, dimension]`.
        k: Vectors to find, at least 1 and at most as many as may be answered.
        answerable: Those that may.
        breadth: How far an approximate kind searches.
        must_be_exact: Whether an answer that is not exact is of no use.
    """

    queries: Float32s
    k: int
    answerable: Answerable
    breadth: Breadth
    must_be_exact: bool


class DeviceFound(NamedTuple):
    """What a copy found; rows that it did not answer mean nothing.

    Attributes:
        scores: The master's, float32 `[num_queries, k]`, best first.
        positions: int64, shaped as `scores`; equal scores by position.
        exact: Which queries were compared with every vector that may be answered, bool
            `[num_queries]`.
        answered: Which queries were answered, bool `[num_queries]`.
    """

    scores: Float32s
    positions: Int64s
    exact: Bools
    answered: Bools


class _Terms(NamedTuple):
    """What searches of one call have in common.

    Attributes:
        width: Neighbours to fetch.
        effort: Lists or candidates; 0 of other forms.
    """

    width: int
    effort: int


class GpuReplica:
    """Answers searches by a copy, or says that it can't. One thread at a time searches it."""

    def __init__(
        self, master: Any, kind: IndexKind, device: GpuDevice, *, is_again: bool = False
    ) -> None:
        """Copies an index and tries the copy. A failure is counted and logged, and leaves no copy.

        Args:
            master: A faiss index that is never changed from now on, not empty.
            kind: Its index kind.
            device: Copies it to a device.
            is_again: Whether that has failed before, and was told.
        """
        self._master = master
        self._kind = kind
        self._device = device
        self._num_vectors = int(master.ntotal)
        self._copy: DeviceCopy | None = None
        self._num_losses = device.num_losses
        self._is_told = not is_again
        try:
            self._copy = device(master)
        except Exception as error:  # faiss raises its own and C++'s
            what = "the index can't be copied to the GPU"
            device.note_failure(what, error, is_told=self._is_told)
            return
        self._device.usage.add(num_copies=1, num_bytes=self._copy.num_bytes)
        if (share := self._share_missed()) > 0:
            self._leave("the copy on the GPU is wrong", RuntimeError(_wrong(share)))
        if self.is_on_gpu:
            device.note_success()
        self._is_told = True

    @property
    def is_on_gpu(self) -> bool:
        """Whether the GPU answers searches; false once it has failed."""
        return self._copy is not None and self._device.num_losses == self._num_losses

    @property
    def form(self) -> Form | None:
        """How the copy compares; None where there is none."""
        return self._copy.form if self._copy is not None else None

    def __del__(self) -> None:
        """Gives the memory back where nobody has, as of a base that never took its place."""
        if hasattr(self, "_copy"):
            self.close()

    def close(self) -> None:
        """Gives the copy's memory back. Idempotent."""
        if self._copy is not None:
            self._device.usage.add(num_copies=-1, num_bytes=-self._copy.num_bytes)
            self._copy = None

    def answer(self, searches: Sequence[DeviceSearch]) -> list[DeviceFound | None]:
        """Answers searches in as few calls as their widths allow, narrow ones first.

        Returns:
            What was found for each, in their order; None for what the master has to be asked.
        """
        found: list[DeviceFound | None] = [None] * len(searches)
        if not self.is_on_gpu:
            self.close()  # it was lost with the GPU, by another's search
        calls: dict[_Terms, list[int]] = {}
        for number, search in enumerate(searches):
            if (terms := self._terms(search)) is not None:
                calls.setdefault(terms, []).append(number)
        for terms in sorted(calls):
            for numbers in _shared_out(calls[terms], searches):
                self._answer(terms, numbers, searches, found)
        unanswered = (
            len(search.queries) if answer is None else int(np.count_nonzero(~answer.answered))
            for search, answer in zip(searches, found, strict=True)
        )
        self._device.usage.add(num_passed_on=sum(unanswered))
        return found

    def _terms(self, search: DeviceSearch) -> _Terms | None:
        """How a search is asked for; None where the copy is no good for it."""
        if not self.is_on_gpu or self._copy is None:
            return None
        form, k = self._copy.form, search.k
        wanted = with_spare(k)
        if not search.answerable.is_everything:
            wanted = max(wanted, num_holding(k, search.answerable.share))
        most = MAX_GRAPH_NEIGHBOURS if form is Form.GRAPH else MAX_NEIGHBOURS
        most = min(most, self._num_vectors)
        fits = wanted <= most or (search.answerable.is_everything and k <= most)
        # Where all are fetched, none is missed, however few are left of them.
        if not fits and self._num_vectors > most:
            return None
        width = next((width for width in _WIDTHS if width >= min(wanted, most)), most)
        width = min(width, most)
        if form is Form.LISTS:
            return self._list_terms(search, width)
        if form is Form.GRAPH:
            kept = max(self._kind.ef_search(search.breadth), width)
            kept += -kept % _WARP
            return _Terms(width, kept) if kept <= MAX_GRAPH_NEIGHBOURS else None
        return _Terms(width, 0)

    def _list_terms(self, search: DeviceSearch, width: int) -> _Terms | None:
        num_lists = self._kind.num_lists
        share = max(search.answerable.share, 1e-9)
        seen = SEEN_PER_FOUND * search.k * num_lists / self._num_vectors
        nprobe = -(-max(self._kind.nprobe(search.breadth), seen) // share)
        if nprobe <= min(num_lists, MAX_NEIGHBOURS):
            return _Terms(width, int(nprobe))
        return _Terms(width, num_lists) if num_lists <= MAX_NEIGHBOURS else None

    def _answer(
        self,
        terms: _Terms,
        numbers: Sequence[int],
        searches: Sequence[DeviceSearch],
        found: list[DeviceFound | None],
    ) -> None:
        queries = np.concatenate([searches[number].queries for number in numbers])
        nearest = self._nearest(np.ascontiguousarray(queries, np.float32), terms)
        if nearest is None:
            return
        start = 0
        for number in numbers:
            rows = slice(start, start + len(searches[number].queries))
            start = rows.stop
            scores, positions = nearest
            found[number] = self._sifted(searches[number], scores[rows], positions[rows], terms)

    def _nearest(self, queries: Float32s, terms: _Terms) -> tuple[Float32s, Int64s] | None:
        """Asks the GPU; None where it failed."""
        if not self.is_on_gpu or self._copy is None:
            return None
        began = time.perf_counter()
        try:
            found = self._copy.search(queries, terms.width, terms.effort)
        except Exception as error:  # faiss raises its own and C++'s
            if is_for_want_of_memory(error):
                self._device.note_failure("the GPU had no memory for a search", error)
            else:
                self._leave("the GPU failed in a search", error)
            return None
        self._device.usage.add(
            num_calls=1, num_queries=len(queries), seconds=time.perf_counter() - began
        )
        return found

    def _leave(self, what: str, error: Exception) -> None:
        self.close()
        self._device.note_failure(what, error, is_told=self._is_told)

    def _sifted(
        self, search: DeviceSearch, scores: Float32s, positions: Int64s, terms: _Terms
    ) -> DeviceFound:
        """Keeps what may be answered of what was fetched, and has the master score it."""
        k, answerable = search.k, search.answerable
        is_there = (positions >= 0) & (positions < self._num_vectors)
        kept = is_there
        if not answerable.is_everything:
            kept = kept & answerable.mask[np.where(is_there, positions, 0)]
        if self.form is Form.GRAPH:
            kept = kept & _first_of_each(positions)
        num_there, num_kept = (np.count_nonzero(some, axis=1) for some in (is_there, kept))
        # A stable sort of booleans puts what is kept first, in its order.
        most = min(positions.shape[1], with_spare(k))
        first = np.argsort(~kept, axis=1, kind="stable")[:, :most]
        chosen = np.where(
            np.take_along_axis(kept, first, 1), np.take_along_axis(positions, first, 1), -1
        )
        own = self._scored(search.queries, chosen)
        order = np.lexsort((chosen, -own))[:, :k]
        own = np.take_along_axis(own, order, 1)
        if self.form is Form.FLOAT16:
            # Nothing that the master has not scored is above this one.
            last = np.where(num_kept >= most, first[:, -1], np.maximum(num_there - 1, 0))
            bound = np.take_along_axis(scores, last[:, None], 1)[:, 0]
            all_seen = (num_there >= self._num_vectors) & (num_kept <= most)
            exact = all_seen | (own[:, -1] > bound + self._half_error(search.queries))
        else:
            compares_all = self.form is Form.FLOAT32 or (
                self.form is Form.LISTS and terms.effort >= self._kind.num_lists
            )
            exact = np.full(len(scores), compares_all)
        answered = num_kept >= k
        if self.form in (Form.LISTS, Form.GRAPH) and not answerable.is_everything:
            depth = first[:, k - 1] + 1
            answered &= exact | is_believed(depth, num_there, k, answerable.share)
        if search.must_be_exact:
            answered &= exact
        return DeviceFound(own, np.take_along_axis(chosen, order, 1), exact, answered)

    def _half_error(self, queries: Float32s) -> Float32s:
        """By how much a score in half precision may be off, at most, float32 `[num_queries]`."""
        assert self._copy is not None
        dimension = queries.shape[1]
        lengths = np.linalg.norm(queries, axis=1)
        longest = self._copy.max_norm
        # Both are rounded to 11 bits, and two sums of float32 are compared.
        share = _HALF_ERROR + 2 * share_lost(dimension)
        tiny = _TINY_HALF * np.sqrt(dimension) * (lengths + longest)
        error: Float32s = np.float32(1.001 * share * longest) * lengths + tiny
        return error

    def _scored(self, queries: Float32s, positions: Int64s) -> Float32s:
        """The master's scores of vectors, float32 as `positions`; -inf for position -1."""
        storage = faiss.downcast_index(self._master.storage) if self._kind.num_links else None
        flat = self._master if storage is None else storage
        if isinstance(flat, faiss.IndexFlat):
            return scores_at(flat, queries, positions)
        faiss.omp_set_num_threads(1)  # OpenMP keeps it by calling thread
        scores = np.full(positions.shape, -np.inf, np.float32)
        for row, (query, some) in enumerate(zip(queries, positions, strict=True)):
            there = np.flatnonzero(some >= 0)
            few = empty_like(flat)
            few.add(flat.reconstruct_batch(some[there]))
            found, which = few.search(query[None, :], len(there)) if len(there) else ([[]], [[]])
            scores[row, there[np.asarray(which[0], np.int64)]] = found[0]
        return scores

    def _share_missed(self) -> float:
        """By how much the copy misses more of its own vectors' neighbours than the master does.

        0 where it does not, within what is allowed, or where it leaves all of them to the master.
        """
        rows = np.linspace(0, self._num_vectors - 1, min(_PROBES, self._num_vectors)).astype(int)
        queries = self._master.reconstruct_batch(rows.astype(np.int64))
        k = min(_PROBE_K, self._num_vectors)
        everything, breadth = Answerable(self._num_vectors), Breadth()
        (found,) = self.answer([DeviceSearch(queries, k, everything, breadth, False)])
        if self._copy is None or found is None:
            return 0.0
        if not self._kind.num_lists and self._copy.form is not Form.GRAPH:
            least = self._master_scores(queries, k, exactly=True)
            allowed = 0.0
        else:
            least = self._master_scores(queries, k, exactly=False)
            allowed = _PROBE_TOLERANCE
        tolerance = _SAME * np.maximum(1.0, np.abs(least[:, -1:]))
        is_near = found.scores >= least[:, -1:] - tolerance
        share = float(np.mean(~is_near[found.answered])) if found.answered.any() else 0.0
        return share if share > allowed else 0.0

    def _master_scores(self, queries: Float32s, k: int, *, exactly: bool) -> Float32s:
        """What the master finds for the probes, best first."""
        index = self._master
        if exactly and self._kind.num_links:
            index = faiss.downcast_index(index.storage)
        scores: Float32s
        if exactly:
            scores, _ = index.search(queries, k)
        else:
            scores, _ = index.search(queries, k, params=self._kind.parameters(Breadth()))
        return scores


def _wrong(share: float) -> str:
    return f"it misses {share:.0%} of the neighbours of its own vectors, which the master finds"


def _shared_out(numbers: Iterable[int], searches: Sequence[DeviceSearch]) -> Iterator[list[int]]:
    """Distributes searches over calls of a bounded number of queries, first come first."""
    call: list[int] = []
    size = 0
    for number in numbers:
        more = len(searches[number].queries)
        if call and size + more > QUERIES_PER_DEVICE_CALL:
            yield call
            call, size = [], 0
        call.append(number)
        size += more
    if call:
        yield call


def _first_of_each(positions: Int64s) -> Bools:
    """Which entries of each row are the first of their value; a walk may come by one twice."""
    order = np.argsort(positions, axis=1, kind="stable")
    ordered = np.take_along_axis(positions, order, 1)
    is_first = np.ones(positions.shape, np.bool_)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    result = np.empty_like(is_first)
    np.put_along_axis(result, order, is_first, 1)
    return result
