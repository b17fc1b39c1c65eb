"""A search that shadows were drawn for: what of it is kept until they have ordered it too."""

from collections.abc import Sequence
from dataclasses import dataclass

from twopass.engines.base.model import LoadedReranker, PairQuery
from twopass.engines.base.sequences import Int32s
from twopass.index.schema import CollectionSchema
from twopass.server.models.passages import Truncation
from twopass.server.search.candidates import Candidates
from twopass.server.search.observing import Answered
from twopass.server.search.second_pass import ScoredPairs
from twopass.server.search.types import RerankStatus, SearchQuery
from twopass.server.shadow_spec import ShadowSpec
from twopass.server.shadowing.agreement import TOP

# What is kept beside the candidates' token ids: the query, the ids, Python's own.
_ENTRY_BYTES = 8_192


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A search that was answered, without what belongs to its call.

    Attributes:
        specs: The shadows that it is compared with.
        search_id: The answer's id; "" where no feedback is kept.
        collection: The collection's own name when it was searched.
        schema: The collection's schema.
        query: What was asked for.
        candidates: What the first pass found.
        read: Positions of the candidates that the second pass has scored, ascending.
        scored: Their scores, in the order of `read`.
        live: Ids of the first ten of the order that was answered.
        reranker: The model of the second pass.
        pair_query: The query as that model reads it.
        blend: Weight of the first pass in the order.
        expires: When it is not compared any more, seconds of `time.perf_counter`.
    """

    specs: Sequence[ShadowSpec]
    search_id: str
    collection: str
    schema: CollectionSchema
    query: SearchQuery
    candidates: Candidates
    read: Int32s
    scored: ScoredPairs
    live: Sequence[str]
    reranker: LoadedReranker
    pair_query: PairQuery
    blend: float
    expires: float

    @classmethod
    def of(
        cls, answered: Answered, specs: Sequence[ShadowSpec], search_id: str, expires: float
    ) -> "Drawn | None":
        """What is kept of a search; None where no other order can be compared with its answer.

        It has to be the first page of a complete second pass, in that pass's own order.
        """
        ranking, candidates = answered.ranking, answered.candidates
        if (
            ranking.status is not RerankStatus.COMPLETE
            or ranking.scored is None
            or answered.reranker is None
            or answered.pair_query is None
            or answered.query.offset
            or not answered.hits
        ):
            return None
        order = ranking.order[: max(TOP, len(answered.hits))].tolist()
        live = [candidates.ids[position] for position in order]
        shown = [hit.document.id for hit in answered.hits]
        if live[: len(shown)] != shown:
            return None
        return cls(
            specs=specs,
            search_id=search_id,
            collection=str(answered.collection.name),
            schema=answered.collection.schema,
            query=answered.query,
            candidates=candidates,
            read=ranking.read,
            scored=ranking.scored,
            live=live[:TOP],
            reranker=answered.reranker,
            pair_query=answered.pair_query,
            blend=answered.blend,
            expires=expires,
        )

    @property
    def truncation(self) -> Truncation:
        """What happens to a passage that is too long; what was refused before is cut here."""
        given = self.query.rerank.long_passages
        return Truncation.TRUNCATE if given is Truncation.REJECT else given

    @property
    def num_bytes(self) -> int:
        """Memory that it keeps, about."""
        passages = self.candidates.passages
        return _ENTRY_BYTES + (0 if passages is None else passages.token_ids.nbytes)
