"""Reads what hits carry, as much as fits into the answer and its time, and builds the hits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import TypedDict

import numpy as np

from twopass._core import ranks_in
from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Int32s
from twopass.engines.base.tokenizer import Tokenizer
from twopass.index.arrays import Int64s
from twopass.index.base.retrieval import Retrieval
from twopass.index.documents import StoredDocument
from twopass.index.errors import StoppedError
from twopass.index.ranked_list import RankedList
from twopass.index.stopping import Stop
from twopass.server.models.passages import texts_of
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.search.candidates import Candidates
from twopass.server.search.ends import late
from twopass.server.search.found import Found
from twopass.server.search.ranking import Ranking
from twopass.server.search.types import PlacedScore, SearchHit, SearchQuery

# Most bytes of documents read for one answer, where nothing else bounds them.
_MAX_READ_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HitReader:
    """Reads the hits of one search.

    Attributes:
        retrieval: The search's use of its collection.
        tokenizing: Finds where windows stand in texts.
        tokenizer: The tokenizer that cut the collection's passages into windows; None for none.
        reranker: The model of the second pass; None for none.
        request: The request of the search.
        end: When hits that are not read come with their ids alone, seconds of
            `time.perf_counter`; None for never.
        ids_suffice: Whether they may.
    """

    retrieval: Retrieval
    tokenizing: Tokenizing
    tokenizer: Tokenizer | None
    reranker: LoadedReranker | None
    request: Request
    end: float | None
    ids_suffice: bool

    async def hits(
        self, query: SearchQuery, found: Found, candidates: Candidates, ranking: Ranking
    ) -> list[SearchHit]:
        """The hits that the query asks for, best first; without documents gone meanwhile.

        Raises:
            LateError: They were not read in time, and their ids do not suffice or are not known.
        """
        positions = ranking.order[query.offset :][: query.top_n]
        keys = candidates.keys[positions]
        windows = self._windows(candidates, ranking, positions)
        try:
            documents, bare, spans = await self._read(query, keys, windows)
        except StoppedError:
            documents = self._unread(candidates, positions)
            bare, spans = frozenset(keys.tolist()), {}
        asked = keys.tolist()
        dense = _placed(found.beyond, keys, are_ranked=False) | _placed(found.dense, keys)
        lexical = _placed(found.lexical, keys)
        fused: list[float | None] = [None] * len(asked)
        if found.fused:
            fused = candidates.scores[positions].tolist()
        scores = _second_scores(ranking, positions)
        return [
            SearchHit(
                document=documents[key],
                first_pass_rank=position + 1,
                dense=dense.get(key),
                lexical=lexical.get(key),
                fused_score=fused[i],
                span=spans.get(key),
                content_omitted=key in bare,
                **scores[i],
            )
            for i, (position, key) in enumerate(zip(positions.tolist(), asked, strict=True))
            if key in documents  # else replaced or deleted while the reranker was at work
        ]

    def _windows(
        self, candidates: Candidates, ranking: Ranking, positions: Int32s
    ) -> "_HitWindows | None":
        """The best window of each hit that has one, by the tokenizer that made its tokens."""
        scored = ranking.scored
        if self.reranker is not None and scored is not None and scored.windows is not None:
            positions = positions[np.isin(positions, ranking.read)]
            windows = scored.windows[np.searchsorted(ranking.read, positions)]
            return _HitWindows(self.reranker.tokenizer, candidates.keys[positions], windows)
        has_window = candidates.has_window
        if candidates.windows is None or has_window is None or self.tokenizer is None:
            return None
        positions = positions[has_window[positions]]
        return _HitWindows(
            self.tokenizer, candidates.keys[positions], candidates.windows[positions]
        )

    def _unread(self, candidates: Candidates, positions: Int32s) -> dict[int, StoredDocument]:
        """The documents of hits whose content was not read in time: with their ids alone."""
        has_ids = len(candidates.ids) == len(candidates)
        if not has_ids or not self.ids_suffice or self.request.is_past_deadline():
            raise late(self.request, "what the hits carry was not read")
        nothing = {"title": None, "text": None, "metadata": None, "vector": None}
        return {
            key: StoredDocument(key=key, id=candidates.ids[position], **nothing)
            for position, key in zip(
                positions.tolist(), candidates.keys[positions].tolist(), strict=True
            )
        }

    async def _read(
        self, query: SearchQuery, keys: Int64s, windows: "_HitWindows | None"
    ) -> tuple[dict[int, StoredDocument], frozenset[int], dict[int, tuple[int, int]]]:
        """Reads the content of hits, as much as fits into an answer.

        Returns:
            Documents by key; the keys of the documents of which only the id was read; and the
            characters of the best windows, by key.
        """
        fields = query.fields
        wanted = fields if windows is None else replace(fields, text=True)
        # Texts that are read only to find the places of windows are not in the answer.
        max_bytes = query.max_answer_bytes
        if max_bytes is None or wanted != fields:
            max_bytes = _MAX_READ_BYTES
        with self.request.stop_by(self.end) as stop:
            documents, bare = await self.retrieval.fetch_first(keys, wanted, max_bytes, stop)
            if windows is None:
                return documents, bare, {}
            spans = await self._spans(windows.without(bare), documents, stop)
        if not fields.text:
            documents = {
                key: replace(document, title=None, text=None) for key, document in documents.items()
            }
        return documents, bare, spans

    async def _spans(
        self, windows: "_HitWindows", documents: Mapping[int, StoredDocument], stop: Stop
    ) -> dict[int, tuple[int, int]]:
        """Where windows stand in their passages, by key; nothing where the budget ends first."""
        texts = texts_of(documents, windows.keys)
        try:
            spans = await self.tokenizing.spans(windows.tokenizer, texts, windows.windows, stop)
        except StoppedError:
            if self.request.is_past_deadline():
                raise
            return {}
        return dict(zip(windows.keys.tolist(), spans, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _HitWindows:
    """The best windows of hits.

    Attributes:
        tokenizer: The tokenizer whose tokens are counted.
        keys: The hits' documents, int64 `[num_hits]`.
        windows: The first token of each in its passage and one past its last, int32
            `[num_hits, 2]`.
    """

    tokenizer: Tokenizer
    keys: Int64s
    windows: Int32s

    def without(self, keys: frozenset[int]) -> "_HitWindows":
        """The windows of all documents but those with these keys."""
        if not keys:
            return self
        others = ~np.isin(self.keys, list(keys))
        return replace(self, keys=self.keys[others], windows=self.windows[others])


class _SecondScores(TypedDict, total=False):
    """What the second pass says of a hit; nothing where it has not read it."""

    logit: float
    score: float
    blended_score: float
    truncated: bool


def _second_scores(ranking: Ranking, positions: Int32s) -> list[_SecondScores]:
    """The scores of the second pass of each hit."""
    scored, read = ranking.scored, ranking.read
    if scored is None or not len(read):
        return [{} for _ in positions]
    places = np.minimum(np.searchsorted(read, positions), len(read) - 1)
    return [
        _SecondScores(logit=logit, score=score, blended_score=blended, truncated=truncated)
        if is_read
        else _SecondScores()
        for is_read, logit, score, blended, truncated in zip(
            (read[places] == positions).tolist(),
            scored.logits[places].tolist(),
            scored.scores[places].tolist(),
            ranking.blended[places].tolist(),
            scored.truncated[places].tolist(),
            strict=True,
        )
    ]


def _placed(
    found: RankedList | None, keys: Int64s, *, are_ranked: bool = True
) -> dict[int, PlacedScore]:
    """Score and rank of each of some documents that is in a list, by key; of a missing list none.

    Args:
        found: The list.
        keys: The documents, int64 `[num_documents]`.
        are_ranked: Whether a place in the list is a rank.
    """
    if found is None:
        return {}
    ranks = ranks_in(found.keys, keys).tolist()
    return {
        key: PlacedScore(float(found.scores[int(rank) - 1]), int(rank) if are_ranked else None)
        for key, rank in zip(keys.tolist(), ranks, strict=True)
        if rank != inf
    }
