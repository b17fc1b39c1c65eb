"""The query as the models of a search read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from twopass.engines.base.model import LoadedEncoder, LoadedReranker, PairQuery
from twopass.engines.base.sequences import Int32s
from twopass.index.base.collection import Collection
from twopass.index.stopping import Stop
from twopass.server.config_values import RetrieveMode
from twopass.server.errors import EncoderChangedError, InvalidRequestError, UnknownModelError
from twopass.server.models.passages import Cutting
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.search.types import SearchQuery


@dataclass(frozen=True, slots=True, eq=False)
class QueryTokens:
    """A query's tokens, each model's own limit applied.

    Attributes:
        ids: Token ids by tokenizer, since models may share one.
        pair_query: What the reranker reads of it; None where there is none.
        is_cut_for_encoder: Whether the encoder does not read its end.
    """

    ids: Mapping[str, Int32s] = field(default_factory=dict)
    pair_query: PairQuery | None = None
    is_cut_for_encoder: bool = False


NO_TOKENS = QueryTokens()
"""Those of a query that nobody has read yet."""


async def query_tokens(
    query: SearchQuery,
    collection: Collection,
    reranker: LoadedReranker | None,
    models: Models,
    tokenizing: Tokenizing,
    stop: Stop,
) -> QueryTokens:
    """Tokenises a query for the models that will read it.

    Args:
        query: The query, its defaults filled in.
        collection: What it searches.
        reranker: What reads it in pairs; None for nothing.
        models: The server's models.
        tokenizing: Tokenises it.
        stop: Ends the work.

    Raises:
        RequestError: It is too long and is not to be cut, or nothing can embed it.
        StoppedError: `stop` was set first.
    """
    ids: dict[str, Int32s] = {}
    is_cut = False
    encoder = _encoder(query, collection, models)
    if encoder is not None:
        encoder = await tokenizing.instructed(
            encoder, query.retrieve.instruction, stop, field="retrieve.instruction"
        )
        # For windows alone it is cut: nobody has asked for an embedding.
        cutting = query.cutting if query.needs_embedding else Cutting()
        read = await tokenizing.encoder_texts(
            encoder, [query.text], cutting, stop, as_queries=True, field=lambda _: "query"
        )
        ids[encoder.query_tokenizer.fingerprint] = read.token_ids[0]
        is_cut = bool(read.truncated[0])
    if reranker is None:
        return QueryTokens(ids, None, is_cut)
    # A query that was cut for the encoder is cut anew: the limits are two.
    fingerprint = reranker.tokenizer.fingerprint
    known = None if is_cut else ids.get(fingerprint)
    if known is not None and len(known) <= reranker.spec.max_query_tokens:
        return QueryTokens(ids, PairQuery(known, reranker.tokenizer.template), is_cut)
    pair_query = await tokenizing.pair_query(
        reranker, query.text, query.rerank.instruction, query.cutting, stop
    )
    ids.setdefault(fingerprint, pair_query.token_ids)
    return QueryTokens(ids, pair_query, is_cut)


def finds_windows(query: SearchQuery, collection: Collection) -> bool:
    """Whether a search by words alone looks for the windows that its second pass is to read."""
    return (
        query.retrieve.mode is RetrieveMode.LEXICAL
        and bool(query.rerank.enabled)
        and collection.may_be_split
        and not collection.schema.client_vectors
    )


def _encoder(query: SearchQuery, collection: Collection, models: Models) -> LoadedEncoder | None:
    """What is to embed the query; None for nothing.

    Raises:
        RequestError: There is nothing that can, and the search needs it.
    """
    schema = collection.schema
    if query.needs_embedding:
        if schema.client_vectors:
            raise InvalidRequestError(
                f"vector: unset, but collection {collection.name!r} has no encoder to "
                "embed the query with; give one, or retrieve by RETRIEVE_MODE_LEXICAL"
            )
    elif not finds_windows(query, collection):
        return None
    try:
        return models.encoder_of(collection.name, schema)
    except (UnknownModelError, EncoderChangedError):
        if query.needs_embedding:
            raise
        return None  # words are found without; the first pass tells what is missing
