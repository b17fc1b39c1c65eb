"""Search defaults: what searches of a collection use where their request says nothing."""

from dataclasses import dataclass
from datetime import datetime

from twopass.client._enums import (
    QueryTruncation,
    RetrieveMode,
    Truncation,
    known_word_of,
    number_of,
)
from twopass.client._fusions import ConvexFusion, ReciprocalRankFusion
from twopass.client._values import int32, moment, real, text
from twopass.v1 import collection_pb2, rerank_pb2, search_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDefaults:
    """What searches of a collection use where their request says nothing.

    None: the server's default, or the model's. `blend`, `min_score` and `answer_threshold` are
    applied to searches by the reranker of `reranker_revision` alone.

    Attributes:
        mode: "dense", "lexical" or "hybrid".
        k: How many candidates to find, 1 to 2,048.
        fusion: How "hybrid" joins its two lists.
        rerank: Whether there is a second pass.
        depth: How many candidates are reranked.
        reranker: The reranker's id, as in `models()`.
        reranker_revision: The `revision` of the reranker that was chosen. The server fills it in
            where it is needed.
        blend: Weight of the first pass in the order of the reranked, 0 to 1.
        min_score: Leaves out reranked hits whose `score` is lower.
        answer_threshold: The score from which on a hit is taken for an answer.
        truncation: What happens to a passage that is too long for the reranker: "truncate",
            "max_window" or "reject".
        query_truncation: What happens to a query that is too long: "truncate" or "reject".
        chosen_by: Who or what chose these, in words for people, at most 512 bytes.
        set_time: When they were set, in UTC. Told by the server, never sent.
    """

    mode: RetrieveMode | None = None
    k: int | None = None
    fusion: ReciprocalRankFusion | ConvexFusion | None = None
    rerank: bool | None = None
    depth: int | None = None
    reranker: str | None = None
    reranker_revision: str | None = None
    blend: float | None = None
    min_score: float | None = None
    answer_threshold: float | None = None
    truncation: Truncation | None = None
    query_truncation: QueryTruncation | None = None
    chosen_by: str = ""
    set_time: datetime | None = None


def search_defaults_message(
    defaults: SearchDefaults | None,
) -> collection_pb2.SearchDefaults | None:
    """The message that sets defaults; None for none."""
    if defaults is None:
        return None
    field = "search_defaults"
    message = collection_pb2.SearchDefaults(
        mode=number_of(search_pb2.RetrieveMode, defaults.mode, f"{field}.mode"),
        k=int32(defaults.k, f"{field}.k"),
        rerank=defaults.rerank,
        depth=int32(defaults.depth, f"{field}.depth"),
        reranker=text(defaults.reranker or "", f"{field}.reranker"),
        reranker_revision=text(defaults.reranker_revision or "", f"{field}.reranker_revision"),
        blend=real(defaults.blend, f"{field}.blend"),
        min_score=real(defaults.min_score, f"{field}.min_score"),
        answer_threshold=real(defaults.answer_threshold, f"{field}.answer_threshold"),
        truncation=number_of(rerank_pb2.Truncation, defaults.truncation, f"{field}.truncation"),
        query_truncation=number_of(
            rerank_pb2.QueryTruncation, defaults.query_truncation, f"{field}.query_truncation"
        ),
        chosen_by=text(defaults.chosen_by, f"{field}.chosen_by"),
    )
    match defaults.fusion:
        case ReciprocalRankFusion(k):
            message.rrf.k = int32(k, f"{field}.fusion.k")
        case ConvexFusion(alpha):
            message.convex.CopyFrom(
                search_pb2.ConvexFusion(alpha=real(alpha, f"{field}.fusion.alpha"))
            )
    return message


def search_defaults_of(message: collection_pb2.Collection) -> SearchDefaults | None:
    """A collection's defaults; None where it has none."""
    if not message.HasField("search_defaults"):
        return None
    told = message.search_defaults
    fusion: ReciprocalRankFusion | ConvexFusion | None = None
    match told.WhichOneof("fusion"):
        case "rrf":
            fusion = ReciprocalRankFusion(told.rrf.k)
        case "convex":
            fusion = ConvexFusion(told.convex.alpha)
    return SearchDefaults(
        mode=known_word_of(search_pb2.RetrieveMode, told.mode),
        k=told.k or None,
        fusion=fusion,
        rerank=told.rerank if told.HasField("rerank") else None,
        depth=told.depth or None,
        reranker=told.reranker or None,
        reranker_revision=told.reranker_revision or None,
        blend=told.blend if told.HasField("blend") else None,
        min_score=told.min_score if told.HasField("min_score") else None,
        answer_threshold=(told.answer_threshold if told.HasField("answer_threshold") else None),
        truncation=known_word_of(rerank_pb2.Truncation, told.truncation),
        query_truncation=known_word_of(rerank_pb2.QueryTruncation, told.query_truncation),
        chosen_by=told.chosen_by,
        set_time=moment(told.set_time) if told.HasField("set_time") else None,
    )
