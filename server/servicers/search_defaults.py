"""A collection's search defaults, to and from messages."""

import time
from dataclasses import replace

from twopass.engines.base.model import LoadedReranker
from twopass.index.fusion import ConvexFusion, ReciprocalRankFusion
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_text
from twopass.server.models.registry import Models
from twopass.server.search.defaults import NO_DEFAULTS, SearchDefaults
from twopass.server.search.stored_defaults import UnreadableSettingsError, read_defaults
from twopass.server.search.types import MAX_K
from twopass.server.servicers.options import (
    QUERY_TRUNCATIONS,
    TRUNCATIONS,
    read_blend,
    read_count,
    read_threshold,
)
from twopass.server.servicers.retrieving import RETRIEVE_MODES, read_fusion
from twopass.v1 import collection_pb2

_MAX_CHOSEN_BY_BYTES = 512
_FIELD = "search_defaults"


def read_search_defaults(
    message: collection_pb2.SearchDefaults, models: Models, convex: ConvexFusion
) -> SearchDefaults:
    """Reads what a collection's searches are to use, and fills in what it belongs to.

    Args:
        message: The message.
        models: The server's models.
        convex: The convex fusion of messages that ask for it without an alpha.

    Raises:
        InvalidRequestError: A value is out of range, or the server does not hold the reranker.
        UnknownModelError: The server does not hold the reranker.
    """
    k = read_count(f"{_FIELD}.k", message.k)
    if k > MAX_K:
        raise InvalidRequestError(
            f"{_FIELD}.k: {k:,} given, at most {MAX_K:,}", limit=MAX_K, value=k
        )
    check_text(f"{_FIELD}.chosen_by", message.chosen_by, _MAX_CHOSEN_BY_BYTES)
    defaults = SearchDefaults(
        mode=RETRIEVE_MODES.read(f"{_FIELD}.mode", message.mode),
        k=k,
        fusion=read_fusion(f"{_FIELD}.", message, convex),
        rerank=message.rerank if message.HasField("rerank") else None,
        depth=read_count(f"{_FIELD}.depth", message.depth),
        reranker=message.reranker,
        blend=read_blend(f"{_FIELD}.blend", message),
        min_score=read_threshold(f"{_FIELD}.min_score", message, "min_score"),
        answer_threshold=read_threshold(f"{_FIELD}.answer_threshold", message, "answer_threshold"),
        truncation=TRUNCATIONS.read(f"{_FIELD}.truncation", message.truncation),
        query_truncation=QUERY_TRUNCATIONS.read(
            f"{_FIELD}.query_truncation", message.query_truncation
        ),
        chosen_by=message.chosen_by,
        set_time_us=time.time_ns() // 1_000,
    )
    if defaults.belongs_to_reranker or message.reranker_revision:
        reranker = _reranker(message, models)
        calibration = reranker.spec.calibration
        defaults = replace(
            defaults,
            reranker=reranker.spec.id if message.reranker else "",
            reranker_revision=reranker.spec.revision,
            calibration=(calibration.a, calibration.b),
        )
    return NO_DEFAULTS if defaults.is_empty else defaults


def _reranker(message: collection_pb2.SearchDefaults, models: Models) -> LoadedReranker:
    """The reranker that a collection's defaults are for."""
    wanted = message.reranker_revision
    if not message.reranker and wanted:
        if (held := models.reranker_of(wanted)) is None:
            raise InvalidRequestError(
                f"{_FIELD}.reranker_revision: {wanted[:12]!r} given, which no reranker of this "
                "server has; leave it empty, or set the defaults on a server that holds it",
                value=wanted,
            )
        return held
    reranker = models.reranker(message.reranker, f"{_FIELD}.reranker")
    if wanted not in ("", reranker.spec.revision):
        raise InvalidRequestError(
            f"{_FIELD}.reranker_revision: {wanted[:12]!r} given, reranker {reranker.spec.id} is "
            f"{reranker.spec.revision[:12]!r} here; leave it empty, or name the one you mean",
            value=wanted,
        )
    return reranker


def add_search_defaults(message: collection_pb2.Collection, settings: str, models: Models) -> None:
    """Adds a collection's search defaults to its message, and why some are not applied.

    Args:
        message: The message.
        settings: What the store keeps with the collection.
        models: The server's models.
    """
    try:
        defaults = read_defaults(settings)
    except UnreadableSettingsError as error:
        message.search_defaults_problem = str(error)
        return
    if defaults.is_empty:
        return
    message.search_defaults.CopyFrom(_message(defaults))
    message.search_defaults_problem = defaults.problem(models)


def _message(defaults: SearchDefaults) -> collection_pb2.SearchDefaults:
    message = collection_pb2.SearchDefaults(
        mode=RETRIEVE_MODES.write(defaults.mode),
        k=defaults.k,
        rerank=defaults.rerank,
        depth=defaults.depth,
        reranker=defaults.reranker,
        reranker_revision=defaults.reranker_revision,
        blend=defaults.blend,
        min_score=defaults.min_score,
        answer_threshold=defaults.answer_threshold,
        truncation=TRUNCATIONS.write(defaults.truncation),
        query_truncation=QUERY_TRUNCATIONS.write(defaults.query_truncation),
        chosen_by=defaults.chosen_by,
    )
    if isinstance(defaults.fusion, ReciprocalRankFusion):
        message.rrf.k = defaults.fusion.k
    elif defaults.fusion is not None:
        message.convex.alpha = defaults.fusion.alpha
    message.set_time.FromMicroseconds(defaults.set_time_us)
    return message
