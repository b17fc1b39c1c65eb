"""What a search that sets nothing does on a collection: told from what it answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from twopass.client import Client, Collection, Fields, SearchDefaults, SearchResult, Truncation
from twopass.evaluation.runs import EvaluationError
from twopass.evaluation.tuning.arithmetic import fused_scores
from twopass.evaluation.tuning.reading import Reading
from twopass.evaluation.tuning.settings import FUSIONS, Reader, Settings
from twopass.index.fusion import ConvexFusion, Fusion, ReciprocalRankFusion

_QUERIES = 3
_DEFAULT_K = 50
# Scores are floats of 32 bits, of sums that may be taken in another order.
_CLOSE = 1e-5


def unset_answers(
    client: Client, collection: str, queries: Mapping[str, str]
) -> dict[str, SearchResult]:
    """What the server answers to the first queries where a request sets nothing, by query.

    Args:
        client: Client of the server.
        collection: The collection.
        queries: Texts by id.
    """
    return {
        query: client.search(
            collection,
            text,
            fields=Fields(text=False, metadata=False),
            allow_fallback=False,
            timeout=600,
        )
        for query, text in list(queries.items())[:_QUERIES]
    }


def without_fusion(answers: Mapping[str, SearchResult], described: Collection) -> Settings:
    """The settings of such answers, all but the fusion, which no answer names.

    Args:
        answers: Answers by query.
        described: The collection; its search defaults tell numbers that answers may not, since
            there may be fewer documents than k.

    Raises:
        EvaluationError: No query found anything.
    """
    told = [answer for answer in answers.values() if answer.hits]
    if not told:
        raise EvaluationError("the judged queries find nothing in the collection")
    num_found = max(answer.num_candidates for answer in told)
    num_read = max(answer.num_reranked for answer in told)
    known = described.search_defaults or SearchDefaults()
    k = known.k or max(num_found, _DEFAULT_K)
    answer = told[0]
    first = answer.hits[0]
    if any(hit.fused_score is not None for hit in answer.hits):
        found = Settings("hybrid", k)
    else:
        found = Settings("dense" if first.dense_score is not None else "lexical", k)
    if not answer.reranker:
        return found
    depth = known.depth or (k if num_read >= num_found else num_read)
    # Answers carry floats of 32 bits: 0.7 comes back as 0.699999988.
    blend = round(answer.blend, 6)
    cut: Truncation = "max_window" if known.truncation == "max_window" else "truncate"
    reader = Reader(answer.reranker, cut)
    return replace(found, depth=min(depth, k), reader=reader, blend=blend)


def with_fusion(
    settings: Settings,
    answers: Mapping[str, SearchResult],
    queries: Mapping[str, str],
    reading: Reading,
) -> Settings:
    """The settings with the fusion whose scores those of the hits are.

    Args:
        settings: All but the fusion.
        answers: Answers by query.
        queries: Texts of the same queries.
        reading: How the server is read.

    Raises:
        EvaluationError: No fusion makes these scores, as where documents are written meanwhile.
    """
    if settings.mode != "hybrid":
        return settings
    lists = reading.numbered_lists(queries)
    for fusion in _fusions():
        wanted = replace(settings, fusion=fusion)
        if all(
            _agree(answers[query], fused_scores(lists[query], wanted, reading.dense_minimum))
            for query in answers
        ):
            return wanted
    raise EvaluationError(
        "no fusion makes the scores that the server answers; if documents are being written to "
        "the collection, try again when they are not"
    )


def _agree(answer: SearchResult, scores: Mapping[str, float]) -> bool:
    return all(
        abs((hit.fused_score or 0.0) - scores.get(hit.id, -1.0)) <= _CLOSE for hit in answer.hits
    )


def _fusions() -> Iterator[Fusion]:
    """Those that a server may have been set to, the likeliest first."""
    likely: Sequence[Fusion] = (ConvexFusion(0.9), *FUSIONS)
    yield from likely
    yield from (ConvexFusion(percent / 100) for percent in range(101))
    yield from (ConvexFusion(thousandths / 1000) for thousandths in range(1001))
    yield from (ReciprocalRankFusion(k) for k in range(1, 1001))
