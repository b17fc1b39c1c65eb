"""The node postprocessor: the second pass alone, over nodes that any retriever has found."""

from dataclasses import asdict
from typing import Any

import llama_index.core.instrumentation as instrument
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from twopass.client import (
    AsyncClients,
    Client,
    Passage,
    QueryTruncation,
    RerankHit,
    RerankResult,
    Truncation,
    connect,
)

METADATA_KEY = "twopass"
"""The key of a node's metadata that says how it was reranked; no model is shown it."""

_HIDDEN_FROM = ("excluded_embed_metadata_keys", "excluded_llm_metadata_keys")
_dispatcher = instrument.get_dispatcher(__name__)  # type: ignore[attr-defined]  # as its docs do


class TwopassRerank(BaseNodePostprocessor):
    """Reranks nodes by a cross-encoder of a twopass server, and keeps the best.

    ```python
    engine = index.as_query_engine(
        similarity_top_k=50, node_postprocessors=[TwopassRerank(top_n=5)]
    )
    ```
    """

    top_n: int = Field(description="How many nodes to return. 0: all, best first.")
    model: str | None = Field(description="The reranker's id. None: the server's default.")
    blend: float | None = Field(description="Weight of the retriever's scores, 0 to 1.")
    min_score: float | None = Field(description="Leaves out nodes whose score is lower.")
    truncation: Truncation | None = Field(description="What happens to a node that is too long.")
    query_truncation: QueryTruncation | None = Field(description="The same of the query.")
    instruction: str | None = Field(description="What makes a node relevant, in words.")
    metadata_mode: MetadataMode = Field(description="Which metadata the model reads of a node.")
    target: str | None = Field(description="Where the server is, host:port. None: TWOPASS_TARGET.")
    api_key: str | None = Field(exclude=True, repr=False, description="None: TWOPASS_API_KEY.")
    ca: str | None = Field(description='PEM file of authorities, or "system". None: TWOPASS_CA.')
    timeout: float | None = Field(description="Seconds that a call may take. None: no deadline.")

    _client: Client = PrivateAttr()
    _is_own: bool = PrivateAttr()
    _async_clients: AsyncClients = PrivateAttr()

    def __init__(
        self,
        top_n: int = 2,
        model: str | None = None,
        target: str | None = None,
        *,
        api_key: str | None = None,
        ca: str | None = None,
        timeout: float | None = 30.0,
        client: Client | None = None,
        blend: float | None = None,
        min_score: float | None = None,
        truncation: Truncation | None = None,
        query_truncation: QueryTruncation | None = None,
        instruction: str | None = None,
        metadata_mode: MetadataMode = MetadataMode.EMBED,
        **kwargs: Any,
    ) -> None:
        """Opens the postprocessor; the connection itself is made by the first call.

        Args:
            top_n: How many nodes to return. 0: all, best first.
            model: The reranker's id, as `twopass models` lists it. None: the server's default.
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or this machine.
            api_key: Sent with every call. None: `TWOPASS_API_KEY`, or none.
            ca: For TLS: a PEM file of authorities, or "system". None: `TWOPASS_CA`, or plain text.
            timeout: Seconds that a call may take. None: no deadline.
            client: A client that is there, to be closed by the caller, in place of the four above.
            blend: Weight w in [0, 1] of the scores that nodes come with in the order:
                w * z(score) + (1 - w) * z(logit). Above 0, every node must have a score. None: 0,
                the reranker alone.
            min_score: Leaves out nodes whose score, 0 to 1, is lower. None: no node is left out.
            truncation: What happens to a node that is too long for the model: "truncate",
                "max_window" or "reject". None: "truncate".
            query_truncation: What happens to a query that is too long: "truncate" or "reject".
                None: "truncate".
            instruction: What makes a node relevant, in words, for a model that is told so. None:
                the model's own.
            metadata_mode: Which metadata the model reads before a node's text. `NONE`: none.
            kwargs: Fields of the base class, such as `callback_manager`.

        Raises:
            InvalidArgumentError: The target is none, or a file can't be used.
        """
        fields: dict[str, Any] = {  # pydantic's, which the base class's signature leaves out
            "top_n": top_n,
            "model": model,
            "blend": blend,
            "min_score": min_score,
            "truncation": truncation,
            "query_truncation": query_truncation,
            "instruction": instruction,
            "metadata_mode": metadata_mode,
            "target": target,
            "api_key": api_key,
            "ca": ca,
            "timeout": timeout,
        }
        super().__init__(**fields, **kwargs)
        self._is_own = client is None
        self._client = client or connect(target, api_key=api_key, ca=ca, timeout=timeout)
        self._async_clients = AsyncClients(self._client)

    @classmethod
    def class_name(cls) -> str:
        """The name that the class has in what is serialised."""
        return "TwopassRerank"

    @property
    def client(self) -> Client:
        """The client, for all that LlamaIndex has no word for."""
        return self._client

    def close(self) -> None:
        """Ends the connection for threads, unless the client was given."""
        if self._is_own:
            self._client.close()

    async def aclose(self) -> None:
        """Ends the connections for threads and for the running event loop, as `close` does."""
        await self._async_clients.close()
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        if not self._is_own:
            raise TypeError("client: a live connection can't be pickled; give target in its place")
        return super().__getstate__()

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query_of(query_bundle)
        if not nodes:
            return []
        self._tell_start(nodes, query)
        with self.callback_manager.event(
            CBEventType.RERANKING, payload=self._payload(nodes, query)
        ) as event:
            result = self._client.rerank(query, self._passages(nodes), **self._options())
            reranked = _reranked(nodes, result)
            event.on_end(payload={EventPayload.NODES: reranked})
        _dispatcher.event(ReRankEndEvent(nodes=reranked))
        return reranked

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query_of(query_bundle)
        if not nodes:
            return []
        self._tell_start(nodes, query)
        with self.callback_manager.event(
            CBEventType.RERANKING, payload=self._payload(nodes, query)
        ) as event:
            client = self._async_clients.current()
            result = await client.rerank(query, self._passages(nodes), **self._options())
            reranked = _reranked(nodes, result)
            event.on_end(payload={EventPayload.NODES: reranked})
        _dispatcher.event(ReRankEndEvent(nodes=reranked))
        return reranked

    def _tell_start(self, nodes: list[NodeWithScore], query: str) -> None:
        _dispatcher.event(
            ReRankStartEvent(
                query=query, nodes=nodes, top_n=self.top_n, model_name=self.model or ""
            )
        )

    def _payload(self, nodes: list[NodeWithScore], query: str) -> dict[str, Any]:
        return {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model or "",
            EventPayload.QUERY_STR: query,
            EventPayload.TOP_K: self.top_n,
        }

    def _passages(self, nodes: list[NodeWithScore]) -> list[Passage]:
        return [
            Passage(self._text_of(each.node), first_pass_score=each.score if self.blend else None)
            for each in nodes
        ]

    def _text_of(self, node: BaseNode) -> str:
        """What the model reads of a node; one without text, as of a picture, fails no request."""
        return node.get_content(metadata_mode=self.metadata_mode).replace("\0", " ") or " "

    def _options(self) -> dict[str, Any]:
        return {
            "top_n": self.top_n,
            "model": self.model,
            "blend": self.blend,
            "min_score": self.min_score,
            "truncation": self.truncation,
            "query_truncation": self.query_truncation,
            "instruction": self.instruction,
        }


def _query_of(query_bundle: QueryBundle | None) -> str:
    if query_bundle is None:
        raise ValueError("query_bundle, query_str: none given, a reranker needs the query")
    return query_bundle.query_str


def _reranked(nodes: list[NodeWithScore], result: RerankResult) -> list[NodeWithScore]:
    """The best nodes, best first; those that were given stay as they are."""
    return [
        NodeWithScore(
            node=_noted(nodes[hit.index].node, _metadata(nodes[hit.index], result, hit, rank)),
            score=hit.score,
        )
        for rank, hit in enumerate(result.hits, 1)
    ]


def _noted(node: BaseNode, passes: dict[str, Any]) -> BaseNode:
    """A copy of a node that says how it was reranked."""
    known = node.metadata.get(METADATA_KEY)
    own = known if isinstance(known, dict) else {}
    hidden = {name: _with_key(getattr(node, name)) for name in _HIDDEN_FROM}
    metadata = {**node.metadata, METADATA_KEY: {**own, **passes}}
    return node.model_copy(update={"metadata": metadata, **hidden})


def _with_key(keys: list[str]) -> list[str]:
    return keys if METADATA_KEY in keys else [*keys, METADATA_KEY]


def _metadata(
    given: NodeWithScore, result: RerankResult, hit: RerankHit, rank: int
) -> dict[str, Any]:
    """What the second pass says of a node; every key is there always."""
    timings = asdict(result.timings)
    return {
        "rank": rank,
        "score": hit.score,
        "logit": hit.logit,
        "retrieval_score": given.score,
        "retrieval_rank": hit.index + 1,
        "truncated": hit.truncated,
        "span": None if hit.window is None else [hit.window.start, hit.window.end],
        "rerank_status": "complete",
        "reranker": result.model,
        "query_truncated": result.query_truncated,
        "timings": {stage: spent for stage, spent in timings.items() if spent is not None},
    }
