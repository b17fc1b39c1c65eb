"""Embedding texts, and comparing them by their embeddings."""

from collections.abc import Sequence

import numpy as np

from twopass.engines.base.engine import token_width_of
from twopass.engines.base.model import LoadedEncoder
from twopass.engines.base.sequences import Float32s
from twopass.server.errors import InvalidRequestError, WrongModelKindError
from twopass.server.models.texts import cut_vectors
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Priority
from twopass.server.tei.errors import EmptyInputError
from twopass.server.tei.sequences import (
    Reading,
    ReadInputs,
    check_answer,
    check_batch,
    cutting_of,
    num_chars,
    prompt_of,
    read_inputs,
    sequences,
)
from twopass.server.tei.served import ServedModels, TeiParts, cost_of, max_seq_len
from twopass.server.tei.types import (
    Cost,
    Cuts,
    Embeddings,
    SentencesToCompare,
    Similarities,
    Text,
    TextsToEmbed,
    TokenEmbeddings,
)
from twopass.server.telemetry.stopwatch import Stopwatch


class TextEmbedding:
    """TEI's operations of encoders."""

    def __init__(self, parts: TeiParts, served: ServedModels) -> None:
        self._parts = parts
        self._served = served

    async def embed(self, asked: TextsToEmbed, request: Request) -> Embeddings:
        """Embeds texts, each after a prompt where one is named, and after nothing otherwise.

        Raises:
            EmptyInputError: There are no texts, or one of them is empty.
            WrongModelKindError: The model is a reranker.
            InvalidRequestError: A text is too long and is not to be cut; a token id, the prompt or
                the dimensions are none of the model.
            ResponseTooLargeError: The embeddings would be too many for one answer.
        """
        encoder = self._served.encoder(asked.model)
        check_batch("inputs", len(asked.inputs), self._served.max_texts(encoder))
        dimensions = _dimensions(asked, encoder)
        self._ensure_fits(asked, len(asked.inputs), dimensions, "texts")
        vectors, read = await self._vectors(encoder, asked, request)
        if dimensions < encoder.engine.output_width:
            vectors = cut_vectors(vectors, dimensions, normalize=asked.normalize)
        cost = _cost(encoder, request, asked.inputs, read)
        return Embeddings(vectors, np.diff(read.batch.offsets), cost)

    async def embed_all(self, asked: TextsToEmbed, request: Request) -> TokenEmbeddings:
        """Embeds each token of texts: what the last layer makes of it.

        Takes no `dimensions`, and normalises nothing. Raises what `embed` raises, and

        Raises:
            WrongModelKindError: The model's engine gives no vectors of single tokens.
        """
        encoder = self._served.encoder(asked.model)
        check_batch("inputs", len(asked.inputs), self._served.max_texts(encoder))
        if not token_width_of(encoder.engine):
            raise WrongModelKindError(
                f"the engine {encoder.engine.info.engine} gives no vectors of single tokens of "
                f"{encoder.spec.id}"
            )
        vectors, read = await self._vectors(encoder, asked, request, of_tokens=True)
        cost = _cost(encoder, request, asked.inputs, read)
        return TokenEmbeddings(vectors, read.batch.offsets, cost)

    async def similarity(self, asked: SentencesToCompare, request: Request) -> Similarities:
        """Compares sentences with one of them; raises what `embed` raises."""
        encoder = self._served.encoder(asked.model)
        if not asked.sentences:
            raise EmptyInputError("`inputs.sentences` cannot be empty")
        inputs = (asked.source_sentence, *asked.sentences)
        check_batch("inputs", len(inputs), self._served.max_texts(encoder))
        to_embed = TextsToEmbed(
            inputs=inputs,
            truncate=asked.truncate,
            direction=asked.direction,
            prompt_name=asked.prompt_name,
        )
        vectors, read = await self._vectors(encoder, to_embed, request)
        return Similarities(vectors[1:] @ vectors[0], _cost(encoder, request, inputs, read))

    def _ensure_fits(self, asked: TextsToEmbed, count: int, width: int, of_what: str) -> None:
        """Refuses what would make embeddings that fit no answer, before they are computed."""
        num_bytes = asked.component_bytes * count * width
        content = f"the embeddings of {count:,} {of_what}"
        check_answer("inputs", content, num_bytes, self._parts.limits.max_message_bytes)

    async def _vectors(
        self,
        encoder: LoadedEncoder,
        asked: TextsToEmbed,
        request: Request,
        *,
        of_tokens: bool = False,
    ) -> tuple[Float32s, ReadInputs]:
        """The embeddings of texts or of their tokens, and what was read."""
        arbiter, timings, watch = self._parts.arbiter, request.timings, Stopwatch()
        cutting = cutting_of(truncate=asked.truncate, direction=asked.direction)
        most = self._parts.limits.max_passage_bytes
        inputs = read_inputs("inputs", asked.inputs, most, cutting)
        reading = Reading(
            prompt=prompt_of(encoder.spec.prompts, asked.prompt_name),
            max_tokens=max_seq_len(encoder),
            cutting=cutting,
        )
        # A single text is nearly always a query, for whose embedding somebody waits.
        is_query = len(asked.inputs) == 1 and not asked.is_of_many
        priority = Priority.QUERY if is_query else Priority.INGEST
        with arbiter.admitted(len(asked.inputs)):
            read = await sequences(
                encoder,
                encoder.tokenizer,
                inputs,
                reading,
                self._parts.tokenizing,
                request.stop,
            )
            timings.tokenize = watch.lap("tokenize")
            if of_tokens:
                width = token_width_of(encoder.engine)
                self._ensure_fits(asked, read.batch.num_tokens, width, "tokens")
            computed = await arbiter.compute(
                encoder.engine, read.batch, priority, deadline=request.end, of_tokens=of_tokens
            )
        timings.queue, timings.embed = computed.queue_seconds, computed.engine_seconds
        return computed.output, read


def _cost(
    encoder: LoadedEncoder, request: Request, inputs: Sequence[Text], read: ReadInputs
) -> Cost:
    return cost_of(
        encoder,
        request,
        request.timings,
        num_chars=num_chars(inputs),
        num_tokens=read.batch.num_tokens,
        cuts=Cuts(num_texts=read.num_truncated),
    )


def _dimensions(asked: TextsToEmbed, encoder: LoadedEncoder) -> int:
    """How many components of each embedding are returned."""
    width = encoder.engine.output_width
    if asked.dimensions is None:
        return width
    if not 1 <= asked.dimensions <= width:
        raise InvalidRequestError(
            f"dimensions: {asked.dimensions} given, embeddings of {encoder.spec.id} have {width}; "
            "1 to as many can be returned"
        )
    return asked.dimensions
