"""EmbedService: texts in, embeddings out."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from twopass.engines.base import Float32s, LoadedEncoder, Ragged
from twopass.server.errors import InvalidRequestError, ResponseTooLargeError
from twopass.server.models.embedding import Embedded, Embedding
from twopass.server.models.passages import Limits, check_count, check_text
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.servicers.documents import write_vector
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.options import read_instruction
from twopass.server.servicers.timings import timings_message
from twopass.server.servicers.translating import Translating
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch
from twopass.v1 import embed_pb2

_IS_QUERY = EnumMapping(
    embed_pb2.EmbedRole,
    {embed_pb2.EMBED_ROLE_PASSAGE: False, embed_pb2.EMBED_ROLE_QUERY: True},
    default=False,
)

# Bytes of an embedding beside its components: tags, lengths, whether its text was cut.
_EMBEDDING_BYTES = 16


class EmbedServicer:
    """Translates; `Embedding` does the work."""

    def __init__(
        self,
        models: Models,
        arbiter: Arbiter,
        tokenizing: Tokenizing,
        embedding: Embedding,
        limits: Limits,
        translating: Translating,
    ) -> None:
        self._models = models
        self._arbiter = arbiter
        self._tokenizing = tokenizing
        self._embedding = embedding
        self._limits = limits
        self._translating = translating

    async def embed(
        self, message: embed_pb2.EmbedRequest, request: Request
    ) -> embed_pb2.EmbedResponse:
        """Embeds texts."""
        is_query = _IS_QUERY.read("role", message.role)
        max_bytes = self._limits.max_query_bytes if is_query else self._limits.max_passage_bytes
        texts, limit = message.texts, self._limits.max_documents
        check_count("texts", len(texts), limit, "send them in several calls")
        await self._translating.run(
            request.message_bytes, _check_texts, texts, max_bytes, request=request
        )
        instruction = _read_instruction(message, self._limits, is_query=is_query)
        encoder = await self._tokenizing.instructed(
            self._models.encoder(message.model), instruction, request.stop, field="instruction"
        )
        dimensions = _read_dimensions(message.dimensions, encoder)
        self._ensure_fits(len(texts), dimensions)
        embed = self._embedding.queries if is_query else self._embedding.passages
        timings, watch = request.timings, Stopwatch()
        with self._arbiter.admitted(len(texts)):
            if is_query:
                ids = [
                    await self._tokenizing.query_ids(
                        encoder, text, request.stop, field=f"texts[{i}]"
                    )
                    for i, text in enumerate(texts)
                ]
                token_ids = Ragged.from_rows(ids)
            else:
                token_ids = await self._tokenizing.encode(
                    encoder.passage_tokenizer, texts, encoder.spec.max_seq_len, request.stop
                )
            timings.tokenize = watch.lap("tokenize")
            embedded = await embed(encoder, token_ids, request)
        if dimensions < encoder.engine.output_width:
            normalize = message.normalize if message.HasField("normalize") else True
            vectors = _cut(embedded.vectors, dimensions, normalize=normalize)
            embedded = replace(embedded, vectors=vectors)
        timings.total = time.perf_counter() - request.received
        return await self._translating.run(
            embedded.vectors.nbytes, _response, embedded, encoder.spec.id, timings, request=request
        )

    def _ensure_fits(self, num_texts: int, dimensions: int) -> None:
        """Refuses texts whose embeddings would not fit an answer, before they are computed."""
        num_bytes = num_texts * (4 * dimensions + _EMBEDDING_BYTES)
        if num_bytes > self._limits.max_message_bytes:
            raise ResponseTooLargeError(
                f"texts: the embeddings of {num_texts:,} take {num_bytes:,} bytes, at most "
                f"{self._limits.max_message_bytes:,} may be in one answer (max_message_bytes); "
                "send them in several calls"
            )


def _read_instruction(message: embed_pb2.EmbedRequest, limits: Limits, *, is_query: bool) -> str:
    instruction = read_instruction("instruction", message.instruction, limits)
    if instruction and not is_query:
        raise InvalidRequestError(
            "instruction: given, but the texts are passages, which are embedded without one; "
            "leave it empty, or set role to EMBED_ROLE_QUERY"
        )
    return instruction


def _read_dimensions(value: int, encoder: LoadedEncoder) -> int:
    """Reads how many components of each embedding to return."""
    width = encoder.engine.output_width
    if not 0 <= value <= width:
        raise InvalidRequestError(
            f"dimensions: {value:,} given, embeddings of {encoder.spec.id} have {width:,}; 1 to as "
            "many can be returned, 0 returns all"
        )
    return value or width


def _cut(vectors: Float32s, dimensions: int, *, normalize: bool) -> Float32s:
    """The first components of embeddings, float32 `[num_texts, dimensions]`.

    Args:
        vectors: The embeddings, float32 `[num_texts, output_width]`.
        dimensions: How many components stay.
        normalize: Whether to scale them to length 1; a vector of zeros stays one.
    """
    cut = vectors[:, :dimensions]
    if not normalize:
        return cut
    lengths: Float32s = np.linalg.norm(cut, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    return cut / lengths


def _check_texts(texts: Sequence[str], max_bytes: int) -> None:
    for i, text in enumerate(texts):
        if not text.strip():
            raise InvalidRequestError(f"texts[{i}]: empty, at least one word is needed")
        check_text(f"texts[{i}]", text, max_bytes)


def _response(embedded: Embedded, model: str, timings: StageTimings) -> embed_pb2.EmbedResponse:
    response = embed_pb2.EmbedResponse(
        model=model, num_tokens=embedded.num_tokens, timings=timings_message(timings)
    )
    for vector, truncated in zip(embedded.vectors, embedded.truncated.tolist(), strict=True):
        embedding = response.embeddings.add(truncated=truncated)
        write_vector(vector, embedding.vector)
    return response
