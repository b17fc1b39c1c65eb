"""Embeddings, as the first pass uses them."""

from collections.abc import Iterable
from dataclasses import dataclass

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._documents import components
from twopass.client._enums import EmbedRole, QueryTruncation, number_of
from twopass.client._timings import Timings, timings
from twopass.client._values import int32, text, texts
from twopass.v1 import embed_pb2, rerank_pb2


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """The embeddings of some texts.

    Attributes:
        vectors: One for each text, in order; L2-normalised and of the encoder's dimension unless
            asked for otherwise.
        truncated: For each text, whether the model did not read its end.
        model: The encoder that made them.
        num_tokens: Tokens that the model read, padding not counted.
        timings: Where the time went.
    """

    vectors: tuple[tuple[float, ...], ...]
    truncated: tuple[bool, ...]
    model: str
    num_tokens: int
    timings: Timings


def embed(
    texts: Iterable[str],
    *,
    role: EmbedRole = "passage",
    model: str | None = None,
    dimensions: int | None = None,
    normalize: bool = True,
    instruction: str | None = None,
    query_truncation: QueryTruncation | None = None,
    timeout: float | None = None,
    request_id: str | None = None,
) -> Call[EmbedResult]:
    """Embeds texts.

    Args:
        texts: 1 to the server's limit (1,000 by default), none empty.
        role: Whether the texts are passages or queries; some encoders treat them differently. Both
            are cut and marked where they are too long, a "query" unless `query_truncation` says
            otherwise.
        model: The encoder's id, as in `models()`. None: the server's default.
        dimensions: How many of each embedding's first components to return, 1 to the encoder's
            dimension; None: all. Only encoders trained for it (Matryoshka representation learning)
            keep most of their quality in the first components.
        normalize: Whether vectors that are cut are scaled to length 1. Whole embeddings have length
            1 either way.
        instruction: What queries are embedded for, in words, for an encoder that is told so. None:
            the model's own.
        query_truncation: What happens to a query that is too long: "truncate" or "reject", which is
            for queries alone. None: "truncate".
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.
        request_id: What the server's log and traces call this request by: 1 to 64 of a-z, A-Z, 0-9,
            '.', '_' and '-', such as a UUID. None: the server makes one up.

    Raises:
        InvalidArgumentError: Among others, a query that is too long and not to be cut.
        NotFoundError: No such model.
        OverloadedError: The queue has no room for all texts; no text was embedded.
    """
    request = embed_pb2.EmbedRequest(
        texts=_texts(texts),
        model=text(model or "", "model"),
        role=number_of(embed_pb2.EmbedRole, role, "role"),
        dimensions=int32(dimensions, "dimensions"),
        normalize=None if normalize else False,
        instruction=text(instruction or "", "instruction"),
        query_truncation=number_of(
            rerank_pb2.QueryTruncation, query_truncation, "query_truncation"
        ),
    )
    return Call(_rpcs.EMBED, request, _result, timeout, request_id=request_id)


def _texts(values: Iterable[str]) -> list[str]:
    return texts(values, "texts")


def _result(response: embed_pb2.EmbedResponse) -> EmbedResult:
    return EmbedResult(
        vectors=tuple(components(embedding.vector) for embedding in response.embeddings),
        truncated=tuple(embedding.truncated for embedding in response.embeddings),
        model=response.model,
        num_tokens=response.num_tokens,
        timings=timings(response.timings),
    )
