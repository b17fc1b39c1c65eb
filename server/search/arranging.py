"""The order after the second pass: what is alike collapses, and what is left is diversified.

Comes in: the ranking of all candidates. Goes out: another order of them, of which pages are cuts,
and what each hit is to tell. The order depends on nothing that a page is asked by, so that pages of
one collection state fit together.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.base.retrieval import Retrieval
from twopass.index.documents import StoredDocument
from twopass.index.errors import StoppedError
from twopass.index.lanes import Lane
from twopass.index.stopping import Stop
from twopass.server.request import Request
from twopass.server.search.arrangement import (
    UNARRANGED,
    Arrangement,
    ArrangeSettings,
    ArrangeStatus,
    CollapsedDocument,
)
from twopass.server.search.candidates import Candidates
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.collapse import Group, collapse, unit_vectors
from twopass.server.search.diversity import diversified
from twopass.server.search.ends import late
from twopass.server.search.ranking import Ranking
from twopass.server.search.types import SearchHit, SearchQuery

# Most bytes read of the candidates to compare them; those beyond count as unlike any other.
_MAX_READ_BYTES = 64 * 1024 * 1024


_SKIPPED = {
    Cause.DEADLINE: ArrangeStatus.SKIPPED_DEADLINE,
    Cause.OVERLOAD: ArrangeStatus.SKIPPED_OVERLOAD,
    Cause.FAILED: ArrangeStatus.FAILED,
}


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """The order of hits, and what they tell.

    Attributes:
        ranking: The ranking in that order.
        status: What became of what was asked for.
        by_key: What hits tell, by the keys of their documents.
        num_collapsed: Documents within others.
        seconds: How long it took; None where nothing was asked for.
    """

    ranking: Ranking
    status: ArrangeStatus = ArrangeStatus.NONE
    by_key: dict[int, Arrangement] = field(default_factory=dict)
    num_collapsed: int = 0
    seconds: float | None = None

    def told(self, hits: list[SearchHit]) -> list[SearchHit]:
        """The hits with what each tells."""
        if not self.by_key:
            return hits
        return [
            replace(hit, arrangement=self.by_key.get(hit.document.key, UNARRANGED)) for hit in hits
        ]


async def arranged(
    query: SearchQuery,
    candidates: Candidates,
    ranking: Ranking,
    retrieval: Retrieval,
    lane: Lane,
    request: Request,
    end: float | None,
) -> Arranged:
    """Collapses and diversifies what was ranked.

    Args:
        query: What is asked for.
        candidates: All candidates.
        ranking: Their order.
        retrieval: Reads their vectors, texts and metadata.
        lane: Where they are compared.
        request: The call.
        end: When the order stays as it is, seconds of `time.perf_counter`; None for never.

    Raises:
        LateError: There was no time, and nothing else may be answered.
        CollectionError: They can't be read, and nothing else may be answered.
    """
    settings = query.arrange
    if settings is None:
        return Arranged(ranking)
    began = time.perf_counter()
    order = ranking.order
    if settings.collapse is None and settings.diversity is not None:
        order = order[: settings.diversity.depth]
    keys = candidates.keys[order]
    try:
        with request.stop_by(end) as stop:
            known, _ = await retrieval.fetch_first(keys, settings.fields(), _MAX_READ_BYTES, stop)
            documents = [known.get(key) for key in keys.tolist()]
            found = await lane.run(
                _arranged, settings, documents, order, candidates, ranking, stop, stop=stop
            )
    except Exception as error:
        cause = cause_of(error)
        if cause is None or not query.allow_fallback or request.is_past_deadline():
            if isinstance(error, StoppedError):
                raise late(request, "hits were not compared with each other") from None
            raise
        return Arranged(ranking, _SKIPPED[cause], seconds=time.perf_counter() - began)
    return replace(found, seconds=time.perf_counter() - began)


def _arranged(
    settings: ArrangeSettings,
    documents: Sequence[StoredDocument | None],
    order: Int32s,
    candidates: Candidates,
    ranking: Ranking,
    stop: Stop,
) -> Arranged:
    """Arranges the first of the ranking; those that were not looked at follow as they were."""
    score_of = _scores_of(ranking)
    kept, groups = np.arange(len(order), dtype=np.int32), dict[int, Group]()
    if settings.collapse is not None:
        kept, groups = collapse(documents, settings.collapse, stop)
    chosen_by: dict[int, float] = {}
    if (wanted := settings.diversity) is not None:
        pool = _comparable(order[kept], ranking)[: wanted.depth]
        vectors = unit_vectors([documents[place] for place in kept[: len(pool)].tolist()])
        places, values = diversified(
            _relevance(pool, candidates, ranking), vectors, wanted.relevance_weight, stop
        )
        chosen_by = dict(zip(kept[places].tolist(), values.tolist(), strict=True))
        kept = np.concatenate([kept[places], kept[len(pool) :]])
    by_key: dict[int, Arrangement] = {}
    most = settings.collapse.max_listed if settings.collapse is not None else 0
    for place in kept.tolist():
        group = groups.get(place, _NO_GROUP)
        by_key[int(candidates.keys[order[place]])] = Arrangement(
            len(group.collapsed),
            tuple(
                CollapsedDocument(
                    document.id, each.reason, each.similarity, score_of(int(order[each.place]))
                )
                for each in group.collapsed[:most]
                if (document := documents[each.place]) is not None
            ),
            group.value,
            chosen_by.get(place),
        )
    return Arranged(
        replace(ranking, order=np.concatenate([order[kept], ranking.order[len(order) :]])),
        ArrangeStatus.COMPLETE,
        by_key,
        len(order) - len(kept),
    )


_NO_GROUP = Group()


def _comparable(order: Int32s, ranking: Ranking) -> Int32s:
    """The first candidates whose scores are on one scale: those that were reranked, else all."""
    if ranking.scored is None:
        return order
    is_read = np.isin(order, ranking.read)
    return order[: len(order) if is_read.all() else int(np.argmin(is_read))]


def _relevance(positions: Int32s, candidates: Candidates, ranking: Ranking) -> Float32s:
    """What decides the order of candidates, float32 `[n]`."""
    if ranking.scored is None:
        return candidates.scores[positions]
    return ranking.blended[np.searchsorted(ranking.read, positions)]


def _scores_of(ranking: Ranking) -> Callable[[int], float | None]:
    """Gives a candidate's calibrated score; None for one that was not reranked."""
    if ranking.scored is None:
        return lambda _: None
    scores = dict(zip(ranking.read.tolist(), ranking.scored.scores.tolist(), strict=True))
    return scores.get
