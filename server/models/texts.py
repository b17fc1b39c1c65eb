"""The operation "embed texts", the same for every surface: what it takes, refuses and gives."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.model import LoadedEncoder
from twopass.engines.base.sequences import Float32s, Int32s, Side
from twopass.server.errors import InvalidRequestError, ResponseTooLargeError
from twopass.server.models.embedding import Embedding
from twopass.server.models.passages import (
    Cutting,
    Limits,
    Overlong,
    check_count,
    check_text,
    problem_of,
)
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.telemetry.stopwatch import Stopwatch

# Texts with as many characters together are checked in a millisecond or less.
_QUICKLY_CHECKED_CHARS = 256 * 1024
# Bytes of an embedding beside its components: tags, lengths, whether its text was cut.
_EMBEDDING_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldNames:
    """What the fields of `TextsToEmbed` are called where the request came from, for errors.

    Attributes:
        texts: The list of texts, or the one text.
        is_list: Whether a text is named by its place in a list.
        dimensions: The number of components.
        instruction: What queries are embedded for.
        to_query: How to say that the texts are queries.
    """

    texts: str = "texts"
    is_list: bool = True
    dimensions: str = "dimensions"
    instruction: str = "instruction"
    to_query: str = "say that the texts are queries"

    def text(self, index: int) -> str:
        """The path of a text."""
        return f"{self.texts}[{index}]" if self.is_list else self.texts


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsToEmbed:
    """Texts, and how to embed them.

    Attributes:
        texts: The texts, none empty.
        model: The encoder's id; "" for the default.
        is_query: Whether they are queries, which some encoders treat otherwise than passages.
        is_awaited: Whether passages are embedded as soon as queries: where a surface has no word
            for queries, a text that comes alone is nearly always one.
        dimensions: How many of each embedding's first components to return; 0 for all.
        normalize: Whether embeddings are scaled to length 1 once they are cut.
        instruction: What queries are embedded for; "" for the model's own.
        cutting: What becomes of texts that are too long. The limit for passages is what the model
            reads, for queries its `max_query_tokens`.
        takes_any_text: Whether a text of more bytes than the server takes is cut too where
            `cutting` cuts, and a NUL is read as a space, since one text must not fail the others of
            a batch; they are refused otherwise.
        max_texts: Most texts that may come; 0 for the server's `max_documents`.
        component_bytes: Bytes that a component takes in the answer, as an upper bound.
        names: What the fields are called.
    """

    texts: Sequence[str]
    model: str = ""
    is_query: bool = False
    is_awaited: bool = False
    dimensions: int = 0
    normalize: bool = True
    instruction: str = ""
    cutting: Cutting = field(default_factory=Cutting)
    takes_any_text: bool = False
    max_texts: int = 0
    component_bytes: int = 4
    names: FieldNames = field(default_factory=FieldNames)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedTexts:
    """Embeddings of texts, in their order.

    Attributes:
        vectors: float32 `[num_texts, dimensions]`.
        truncated: Whether a part of the text was not read, bool `[num_texts]`.
        lengths: Tokens of each text as the model reads it, special tokens included, int32
            `[num_texts]`; also of one whose embedding was remembered.
        num_tokens: Tokens that the model read for this request.
        model: The encoder's id.
    """

    vectors: Float32s
    truncated: NDArray[np.bool_]
    lengths: Int32s
    num_tokens: int
    model: str


class EmbedTexts:
    """Embeds texts for the surfaces."""

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

    async def embed(self, asked: TextsToEmbed, request: Request) -> EmbeddedTexts:
        """Embeds texts.

        Args:
            asked: The texts.
            request: The call that asks; sets `tokenize`, `queue` and `embed` of its `timings`.

        Raises:
            InvalidRequestError: A field is wrong.
            UnknownModelError: The server holds no such encoder.
            ResponseTooLargeError: The answer would not fit a message.
            OverloadedError: There are fewer free places than texts.
            LateError: The deadline came first.
            EngineError: The engine failed.
        """
        names = asked.names
        texts, was_cut = await self._checked(asked, request)
        encoder = await self._tokenizing.instructed(
            self._models.encoder(asked.model),
            asked.instruction,
            request.stop,
            field=names.instruction,
        )
        dimensions = _read_dimensions(asked, encoder)
        self._ensure_fits(asked, dimensions)
        watch = Stopwatch()
        with self._arbiter.admitted(len(asked.texts)):
            read = await self._tokenizing.encoder_texts(
                encoder,
                texts,
                asked.cutting,
                request.stop,
                as_queries=asked.is_query,
                field=names.text,
            )
            request.timings.tokenize = watch.lap("tokenize")
            if asked.is_query:
                embedded = await self._embedding.queries(encoder, read.token_ids, request)
            else:
                embedded = await self._embedding.passages(
                    encoder, read.token_ids, request, is_awaited=asked.is_awaited
                )
        vectors = embedded.vectors
        if dimensions < encoder.engine.output_width:
            vectors = cut_vectors(vectors, dimensions, normalize=asked.normalize)
        return EmbeddedTexts(
            vectors=vectors,
            truncated=was_cut | read.truncated | embedded.truncated,
            lengths=embedded.lengths,
            num_tokens=embedded.num_tokens,
            model=encoder.spec.id,
        )

    async def _checked(
        self, asked: TextsToEmbed, request: Request
    ) -> tuple[Sequence[str], NDArray[np.bool_]]:
        """The texts, and which were cut; refuses wrong ones, and an instruction for passages."""
        limits, names = self._limits, asked.names
        limit = asked.max_texts or limits.max_documents
        check_count(names.texts, len(asked.texts), limit, "send them in several calls")
        if asked.instruction and not asked.is_query:
            raise InvalidRequestError(
                f"{names.instruction}: given, but the texts are passages, which are embedded "
                f"without one; leave it empty, or {names.to_query}"
            )
        max_bytes = limits.max_query_bytes if asked.is_query else limits.max_passage_bytes
        if sum(map(len, asked.texts)) <= _QUICKLY_CHECKED_CHARS:
            return _checked(asked, max_bytes)
        return await self._tokenizing.lane.run(_checked, asked, max_bytes, stop=request.stop)

    def _ensure_fits(self, asked: TextsToEmbed, dimensions: int) -> None:
        """Refuses texts whose embeddings would not fit an answer, before they are computed."""
        num_texts = len(asked.texts)
        num_bytes = num_texts * (asked.component_bytes * dimensions + _EMBEDDING_BYTES)
        if num_bytes > self._limits.max_message_bytes:
            raise ResponseTooLargeError(
                f"{asked.names.texts}: the embeddings of {num_texts:,} take {num_bytes:,} bytes, "
                f"at most {self._limits.max_message_bytes:,} may be in one answer "
                "(max_message_bytes); send them in several calls",
                limit_name="max_message_bytes",
                limit=self._limits.max_message_bytes,
                value=num_bytes,
            )


def _checked(asked: TextsToEmbed, max_bytes: int) -> tuple[Sequence[str], NDArray[np.bool_]]:
    texts = list(asked.texts)
    was_cut = np.zeros(len(texts), np.bool_)
    for i, text in enumerate(texts):
        if asked.takes_any_text and problem_of(text, max_bytes):
            texts[i] = text = text.replace("\0", " ")
            if asked.cutting.overlong is Overlong.CUT:
                texts[i] = text = cut_text(text, max_bytes, asked.cutting.side)
                was_cut[i] = len(text) < len(asked.texts[i])
        if not text or text.isspace():
            raise InvalidRequestError(f"{asked.names.text(i)}: empty, at least one word is needed")
        check_text(asked.names.text(i), text, max_bytes)
    return texts, was_cut


def cut_text(text: str, max_bytes: int, side: Side) -> str:
    """As many whole characters of a text's beginning, or of its end, as fit in bytes of UTF-8."""
    encoded = text.encode()
    kept = encoded[:max_bytes] if side is Side.END else encoded[-max_bytes:]
    return kept.decode(errors="ignore")


def _read_dimensions(asked: TextsToEmbed, encoder: LoadedEncoder) -> int:
    """How many components of each embedding to return."""
    value, width = asked.dimensions, encoder.engine.output_width
    if not 0 <= value <= width:
        raise InvalidRequestError(
            f"{asked.names.dimensions}: {value:,} given, embeddings of {encoder.spec.id} have "
            f"{width:,}; 1 to as many can be returned, 0 returns all",
            limit=width,
            value=value,
        )
    return value or width


def cut_vectors(vectors: Float32s, dimensions: int, *, normalize: bool) -> Float32s:
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
