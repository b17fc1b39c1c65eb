"""EmbedService: texts in, embeddings out."""

import time

from twopass.engines.base import Ragged
from twopass.server.errors import InvalidRequestError
from twopass.server.models.embedding import Embedding
from twopass.server.models.passages import Limits, check_count, check_text
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.timings import timings_message
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch
from twopass.v1 import document_pb2, embed_pb2

_IS_QUERY = EnumMapping(
    embed_pb2.EmbedRole,
    {embed_pb2.EMBED_ROLE_PASSAGE: False, embed_pb2.EMBED_ROLE_QUERY: True},
    default=False,
)


class EmbedServicer:
    """Translates; `Embedding` does the work."""

    def __init__(
        self,
        models: Models,
        arbiter: Arbiter,
        tokenizing: Tokenizing,
        embedding: Embedding,
        limits: Limits,
    ) -> None:
        self._models = models
        self._arbiter = arbiter
        self._tokenizing = tokenizing
        self._embedding = embedding
        self._limits = limits

    async def embed(
        self, message: embed_pb2.EmbedRequest, request: Request
    ) -> embed_pb2.EmbedResponse:
        """Embeds texts."""
        is_query = _IS_QUERY.read("role", message.role)
        max_bytes = self._limits.max_query_bytes if is_query else self._limits.max_passage_bytes
        check_count(
            "texts", len(message.texts), self._limits.max_documents, "send them in several calls"
        )
        for i, text in enumerate(message.texts):
            if not text.strip():
                raise InvalidRequestError(f"texts[{i}]: empty, at least one word is needed")
            check_text(f"texts[{i}]", text, max_bytes)
        encoder = self._models.encoder(message.model)
        embed = self._embedding.queries if is_query else self._embedding.passages
        timings, began, watch = StageTimings(), time.perf_counter(), Stopwatch()
        with self._arbiter.admitted(len(message.texts)):
            if is_query:
                ids = [
                    await self._tokenizing.query_ids(encoder, text, field=f"texts[{i}]")
                    for i, text in enumerate(message.texts)
                ]
                token_ids = Ragged.from_rows(ids)
            else:
                token_ids = await self._tokenizing.encode(
                    encoder.tokenizer, message.texts, encoder.spec.max_seq_len
                )
            timings.tokenize = watch.lap("tokenize")
            embedded = await embed(encoder, token_ids, deadline=request.deadline)
        timings.embed, timings.queue = embedded.engine_seconds, embedded.queue_seconds
        timings.total = time.perf_counter() - began
        embeddings = [
            embed_pb2.Embedding(
                vector=document_pb2.Vector(values=vector.tolist()), truncated=bool(truncated)
            )
            for vector, truncated in zip(embedded.vectors, embedded.truncated, strict=True)
        ]
        return embed_pb2.EmbedResponse(
            embeddings=embeddings,
            model=encoder.spec.id,
            num_tokens=embedded.num_tokens,
            timings=timings_message(timings),
        )
