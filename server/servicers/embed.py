"""EmbedService: texts in, embeddings out."""

import time

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Cutting, Limits, Overlong
from twopass.server.models.texts import (
    EmbeddedTexts,
    EmbedTexts,
    FieldNames,
    TextsToEmbed,
)
from twopass.server.request import Request
from twopass.server.servicers.documents import write_vector
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.options import (
    TO_CUT_QUERY,
    read_instruction,
    read_query_truncation,
)
from twopass.server.servicers.timings import timings_message
from twopass.server.servicers.translating import Translating
from twopass.server.telemetry.stopwatch import StageTimings
from twopass.v1 import embed_pb2

_IS_QUERY = EnumMapping(
    embed_pb2.EmbedRole,
    {embed_pb2.EMBED_ROLE_PASSAGE: False, embed_pb2.EMBED_ROLE_QUERY: True},
    default=False,
)
_NAMES = FieldNames(to_query="set role to EMBED_ROLE_QUERY")


class EmbedServicer:
    """Translates; `EmbedTexts` does the work."""

    def __init__(self, texts: EmbedTexts, limits: Limits, translating: Translating) -> None:
        self._texts = texts
        self._limits = limits
        self._translating = translating

    async def embed(
        self, message: embed_pb2.EmbedRequest, request: Request
    ) -> embed_pb2.EmbedResponse:
        """Embeds texts."""
        is_query = _IS_QUERY.read("role", message.role)
        overlong = read_query_truncation(message.query_truncation)
        if overlong is Overlong.REFUSE and not is_query:
            raise InvalidRequestError(
                "query_truncation: REJECT given, but the texts are passages, which are cut; leave "
                "it unset, or set role to EMBED_ROLE_QUERY"
            )
        asked = TextsToEmbed(
            texts=await self._translating.run(
                request.message_bytes, list, message.texts, request=request
            ),
            model=message.model,
            is_query=is_query,
            dimensions=message.dimensions,
            normalize=message.normalize if message.HasField("normalize") else True,
            instruction=read_instruction("instruction", message.instruction, self._limits),
            cutting=Cutting(overlong=overlong, to_cut=TO_CUT_QUERY),
            names=_NAMES,
        )
        embedded = await self._texts.embed(asked, request)
        timings = request.timings
        timings.total = time.perf_counter() - request.received
        return await self._translating.run(
            embedded.vectors.nbytes, _response, embedded, timings, request=request
        )


def _response(embedded: EmbeddedTexts, timings: StageTimings) -> embed_pb2.EmbedResponse:
    response = embed_pb2.EmbedResponse(
        model=embedded.model, num_tokens=embedded.num_tokens, timings=timings_message(timings)
    )
    for vector, truncated in zip(embedded.vectors, embedded.truncated.tolist(), strict=True):
        embedding = response.embeddings.add(truncated=truncated)
        write_vector(vector, embedding.vector)
    return response
