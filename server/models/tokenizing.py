"""Tokenising off the event loop, in threads that each have a tokenizer of their own."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.model import LoadedEncoder, LoadedModel, LoadedReranker, PairQuery
from twopass.engines.base.sequences import Int32s, Ragged, Side
from twopass.engines.base.tokenizer import Tokenizer, as_quick
from twopass.index.lanes import Lane
from twopass.index.stopping import NEVER, Stop
from twopass.server.errors import InvalidRequestError, TextTooLongError
from twopass.server.models.caches import ByteCache
from twopass.server.models.cutting import MAX_PASSAGE_TOKENS
from twopass.server.models.embedding import max_passage_tokens
from twopass.server.models.passages import (
    Cutting,
    Overlong,
    Truncation,
    check_instruction,
    num_chars,
)

# Bytes of a cached passage beside its tokens: key, array object, place in the table.
_ENTRY_BYTES = 400
# The stop is checked after every chunk of so many characters. The slowest tokenizers read 4 MB a
# second, so that a chunk takes 16 ms.
_CHUNK_CHARS = 65_536
# A long passage is looked through for a window by parts of so many characters: about one window.
_PIECE_CHARS = 4_096
# More tokens than any text has that a request may hold.
_ALL_TOKENS = 2**30
# A query of ASCII up to this length is tokenised in 30 us at most where a tokenizer is quick. A hop
# to a thread and back costs the event loop alone more than twice that.
_BRIEF_CHARS = 1_024
_CUT = Cutting()


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTexts:
    """Texts as an encoder reads them, each cut where it is too long.

    Attributes:
        token_ids: A row for each, with those tokens of the encoder's prefix that stand in rows.
        truncated: Which were cut, bool `[num_texts]`.
    """

    token_ids: Ragged
    truncated: NDArray[np.bool_]


class Tokenizing:
    """Runs tokenizers in threads of its own, and caches the tokens of passages.

    Every method that takes a `stop` raises `StoppedError` soon after it is set.

    Attributes:
        lane: Its threads.
    """

    def __init__(
        self,
        num_threads: int,
        passages: ByteCache[Int32s] | None = None,
        *,
        name: str = "tokenizing",
    ) -> None:
        """Prepares the threads.

        Args:
            num_threads: How many texts are tokenised at once.
            passages: Cache of the tokens of passages; None to keep none.
            name: Name of the lane.
        """
        self._passages = passages
        # Texts that wait have been admitted by the arbiter, which bounds them.
        self.lane = Lane(name, num_threads, max_waiting=None)

    async def encode(
        self, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, stop: Stop = NEVER
    ) -> Ragged:
        """Token ids without special tokens, each row cut after `max_tokens`."""
        return await self.lane.run(_encode, tokenizer, texts, max_tokens, stop, stop=stop)

    async def encoder_texts(
        self,
        encoder: LoadedEncoder,
        texts: Sequence[str],
        cutting: Cutting = _CUT,
        stop: Stop = NEVER,
        *,
        as_queries: bool,
        field: Callable[[int], str] = "texts[{}]".format,
    ) -> EncodedTexts:
        """Token ids of texts as an encoder reads them, after the tokens of a prefix.

        Args:
            encoder: The model.
            texts: The texts.
            cutting: What becomes of texts that are too long.
            stop: Ends the work.
            as_queries: Whether they are queries. The limit for queries is `max_query_tokens`, for
                passages what the model reads.
            field: A text's path in the request by its position, for error messages.

        Raises:
            TextTooLongError: A text is too long, and is not to be cut.
            InvalidRequestError: A query has no token.
        """
        if as_queries and len(texts) == 1 and _is_brief(encoder.query_tokenizer, texts[0]):
            stop.check()
            return _encode_for_encoder(encoder, texts, cutting, as_queries, field, stop)
        return await self.lane.run(
            _encode_for_encoder, encoder, texts, cutting, as_queries, field, stop, stop=stop
        )

    async def instructed(
        self, encoder: LoadedEncoder, instruction: str, stop: Stop = NEVER, *, field: str
    ) -> LoadedEncoder:
        """The encoder that embeds queries under an instruction; "" gives this one.

        Args:
            encoder: The model.
            instruction: What queries are embedded for.
            stop: Ends the work.
            field: The instruction's path in the request, for error messages.

        Raises:
            InvalidRequestError: The encoder takes no instruction, or this one is too long for it.
        """
        check_instruction(field, instruction, encoder, encoder.takes_instruction)
        if not instruction:
            return encoder
        ids = (await self.encode(encoder.tokenizer, [instruction], _ALL_TOKENS, stop))[0]
        _check_instruction_tokens(encoder, len(ids), field)
        return encoder.instructed(instruction)

    async def pair_query(
        self,
        reranker: LoadedReranker,
        query: str,
        instruction: str = "",
        cutting: Cutting = _CUT,
        stop: Stop = NEVER,
    ) -> PairQuery:
        """A query as a reranker reads it. The instruction is never cut.

        Args:
            reranker: The model.
            query: The text.
            instruction: What makes a passage relevant; "" for the model's own. Only where the
                reranker takes one.
            cutting: What becomes of a query that is too long.
            stop: Ends the work.

        Raises:
            TextTooLongError: The query is too long, and is not to be cut.
            InvalidRequestError: One of the two has no token, or the instruction has too many.
        """
        if _is_brief_query(reranker, query, instruction):
            stop.check()
            return _pair_query(reranker, query, instruction, cutting)
        return await self.lane.run(_pair_query, reranker, query, instruction, cutting, stop=stop)

    def begun_pair_query(
        self,
        reranker: LoadedReranker,
        query: str,
        instruction: str,
        cutting: Cutting,
        stop: Stop,
    ) -> "asyncio.Future[PairQuery]":
        """What `pair_query` gives, begun at once: done already for a brief query of a quick one."""
        if not _is_brief_query(reranker, query, instruction):
            return asyncio.ensure_future(
                self.pair_query(reranker, query, instruction, cutting, stop)
            )
        done: asyncio.Future[PairQuery] = asyncio.get_running_loop().create_future()
        try:
            stop.check()
            done.set_result(_pair_query(reranker, query, instruction, cutting))
        except Exception as error:
            done.set_exception(error)
            done.exception()  # so that one that nobody waits for is not logged
        return done

    async def passage_ids(
        self,
        reranker: LoadedReranker,
        passages: Sequence[str],
        truncation: Truncation,
        stop: Stop = NEVER,
        side: Side = Side.END,
    ) -> Ragged:
        """Token ids of passages, at most `passage_limit` of each; cached ones are reused.

        Args:
            reranker: The model.
            passages: The texts.
            truncation: What happens to a passage that is too long.
            stop: Ends the work.
            side: Where a passage is cut. At its start takes longer, as passages are tokenised
                whole.
        """
        limit, tokenizer = passage_limit(reranker, truncation), reranker.tokenizer
        return await self.lane.run(
            _encode_cached, self._passages, tokenizer, passages, limit, side, stop, stop=stop
        )

    async def spans(
        self,
        tokenizer: Tokenizer,
        passages: Sequence[str],
        windows: Int32s,
        stop: Stop = NEVER,
    ) -> list[tuple[int, int]]:
        """Where windows stand in their passages, in characters: first, one past the last.

        Args:
            tokenizer: The tokenizer that the windows' tokens are of.
            passages: The texts.
            windows: First token and one past the last of one window of each passage, int32
                `[num_passages, 2]`.
            stop: Ends the work.
        """
        return await self.lane.run(_spans, tokenizer, passages, windows, stop, stop=stop)

    def close(self) -> None:
        """Finishes the work that was begun, and ends the threads."""
        self.lane.close()


def _is_brief_query(reranker: LoadedReranker, query: str, instruction: str) -> bool:
    return not instruction and reranker.prompt is None and _is_brief(reranker.tokenizer, query)


def _is_brief(tokenizer: Tokenizer, text: str) -> bool:
    """Whether a text is tokenised in less time than it takes to hand it to a thread."""
    if len(text) > _BRIEF_CHARS or not text.isascii():
        return False
    return as_quick(tokenizer) is not None


def passage_limit(reranker: LoadedReranker, truncation: Truncation) -> int:
    """Tokens of a passage that must be known; the reranker never reads those beyond."""
    if truncation is Truncation.MAX_WINDOW:
        return MAX_PASSAGE_TOKENS
    # One beyond what is read is enough to know that a passage is cut.
    readable = reranker.spec.max_passage_tokens or reranker.spec.max_seq_len
    return min(readable + 1, reranker.spec.max_seq_len)


def _without_words(field: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field}: it has no words")


def _check_instruction_tokens(model: LoadedModel, num_tokens: int, field: str) -> None:
    """Refuses an instruction of no tokens, or of more than the model allows."""
    limit = model.spec.max_query_tokens
    if num_tokens == 0:
        raise _without_words(field)
    if num_tokens > limit:
        raise InvalidRequestError(
            f"{field}: {num_tokens:,} tokens of {model.spec.id} given, at most {limit:,}; "
            "instructions are never cut, shorten it",
            limit=limit,
            value=num_tokens,
        )


def _pair_query(
    reranker: LoadedReranker, query: str, instruction: str, cutting: Cutting
) -> PairQuery:
    if instruction and reranker.prompt is not None:
        num_tokens = reranker.prompt.num_instruction_tokens(instruction, _ALL_TOKENS)
        _check_instruction_tokens(reranker, num_tokens, "instruction")
    limit = reranker.spec.max_query_tokens
    ids = reranker.query_ids(query, _num_needed(limit, cutting))
    # White space of the prompt is tokenised with a query, so that one of white space has tokens.
    if not len(ids) or not query.strip():
        raise _without_words("query")
    if cutting.overlong is Overlong.REFUSE and len(ids) > limit:
        raise TextTooLongError("query", len(ids), limit, reranker.spec.id, to_cut=cutting.to_cut)
    return reranker.pair_query(ids, instruction, cutting.side)


def _num_needed(limit: int, cutting: Cutting) -> int:
    """How many tokens of a text must be known, of which `limit` are read."""
    if cutting.overlong is Overlong.REFUSE or cutting.side is Side.START:
        return _ALL_TOKENS
    return limit + 1  # one beyond is enough to know that its end is cut


def _encode_for_encoder(
    encoder: LoadedEncoder,
    texts: Sequence[str],
    cutting: Cutting,
    as_queries: bool,
    field: Callable[[int], str],
    stop: Stop,
) -> EncodedTexts:
    tokenizer = encoder.query_tokenizer if as_queries else encoder.passage_tokenizer
    num_before = tokenizer.num_prefix_tokens  # these begin a row, and are never cut
    limit = encoder.spec.max_query_tokens
    if not as_queries:
        limit = max_passage_tokens(encoder) - num_before
    if cutting.max_tokens:
        limit = min(limit, cutting.max_tokens)
    rows = _encode(tokenizer, texts, num_before + _num_needed(limit, cutting), stop)
    lengths = rows.lengths - num_before
    if as_queries:
        for i, length in enumerate(lengths.tolist()):
            if length <= 0 or not texts[i].strip():
                raise _without_words(field(i))
    truncated = lengths > limit
    if not truncated.any():
        return EncodedTexts(rows, truncated)
    if cutting.overlong is Overlong.REFUSE:
        i = int(truncated.argmax())
        given, model = int(lengths[i]), encoder.spec.id
        raise TextTooLongError(field(i), given, limit, model, to_cut=cutting.to_cut)
    if cutting.side is Side.END or not num_before:
        return EncodedTexts(rows.cut(num_before + limit, cutting.side), truncated)
    ends = [
        np.append(rows[i][:num_before], rows[i][num_before:][-limit:]) for i in range(len(rows))
    ]
    return EncodedTexts(Ragged.from_rows(ends), truncated)


def _encode(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_tokens: int,
    stop: Stop = NEVER,
    side: Side = Side.END,
) -> Ragged:
    parts = []
    for chunk in _chunks(texts):
        stop.check()
        if side is Side.END:
            parts.append(tokenizer.encode(chunk, max_tokens))
        else:
            parts.append(tokenizer.encode(chunk, _ALL_TOKENS).cut(max_tokens, side))
    return parts[0] if len(parts) == 1 else _joined(parts)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Parts of a list of texts, of about `_CHUNK_CHARS` each; an empty list is one empty part."""
    lengths = num_chars(texts)
    if sum(lengths) < _CHUNK_CHARS:
        yield texts
        return
    start, total = 0, 0
    for end, length in enumerate(lengths, 1):
        total += length
        if total >= _CHUNK_CHARS and end < len(texts):
            yield texts[start:end]
            start, total = end, 0
    yield texts[start:]


def _joined(parts: Sequence[Ragged]) -> Ragged:
    """The rows of all parts, end to end."""
    offsets = np.zeros(1 + sum(map(len, parts)), np.int32)
    np.cumsum(np.concatenate([part.lengths for part in parts]), out=offsets[1:])
    return Ragged(np.concatenate([part.token_ids for part in parts]), offsets)


def _spans(
    tokenizer: Tokenizer, passages: Sequence[str], windows: Int32s, stop: Stop
) -> list[tuple[int, int]]:
    return [
        _span(tokenizer, passage, first, end, stop)
        for passage, (first, end) in zip(passages, windows.tolist(), strict=True)
    ]


def _span(tokenizer: Tokenizer, passage: str, first: int, end: int, stop: Stop) -> tuple[int, int]:
    """Where the tokens from `first` to before `end` stand; the first characters for no token.

    Only parts with such tokens have their places read, as the library tells them at 4 MB a second;
    those before are counted, and those after not looked at.
    """
    begin, until = None, 0
    num_chars = num_before = 0
    pieces = tokenizer.pieces(passage, _PIECE_CHARS)
    for piece in pieces:
        stop.check()
        num_tokens = None
        if len(pieces) > 1:
            num_tokens = len(tokenizer.encode([piece], _ALL_TOKENS)[0])
        if num_tokens is None or num_before + num_tokens > first:
            places = tokenizer.places(piece)
            num_tokens = len(places)
            inside = places[max(0, first - num_before) : end - num_before]
            if len(inside):
                begin = num_chars + int(inside[0, 0]) if begin is None else begin
                until = num_chars + int(inside[-1, 1])
        num_before += num_tokens
        num_chars += len(piece)
        if num_before >= end:
            break
    return (0, 0) if begin is None else (begin, until)


def _encode_cached(
    cache: ByteCache[Int32s] | None,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_tokens: int,
    side: Side,
    stop: Stop,
) -> Ragged:
    """Does what `_encode` does, with a cache for texts that come again and take long."""
    if cache is None:
        return _encode(tokenizer, texts, max_tokens, stop, side)
    quickly = _encode_quickly(tokenizer, texts, max_tokens, stop) if side is Side.END else None
    if quickly is None:
        return _looked_up(cache, tokenizer, texts, max_tokens, side, stop)
    rows, left = quickly
    if not left:
        return rows
    whole = _looked_up(cache, tokenizer, [texts[row] for row in left], max_tokens, side, stop)
    into = np.array(left, np.int32)
    return rows.with_parts(into, np.zeros_like(into), whole, max_tokens)


def _encode_quickly(
    tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, stop: Stop
) -> tuple[Ragged, list[int]] | None:
    """Rows of texts that a tokenizer is quick at, and those left empty; None where it is not."""
    quick = as_quick(tokenizer)
    if quick is None:
        return None
    parts: list[Ragged] = []
    left: list[int] = []
    num_before = 0
    for chunk in _chunks(texts):
        stop.check()
        rows, foreign = quick.encode_quickly(chunk, max_tokens)
        parts.append(rows)
        left += [num_before + row for row in foreign]
        num_before += len(chunk)
    return parts[0] if len(parts) == 1 else _joined(parts), left


def _looked_up(
    cache: ByteCache[Int32s],
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_tokens: int,
    side: Side,
    stop: Stop,
) -> Ragged:
    """Does what `_encode` does, once for texts that come again."""
    cut = max_tokens, side.value
    keys = [(tokenizer.fingerprint, cut, _digest(text)) for text in texts]
    rows = cache.get_all(keys)
    missing = [i for i, row in enumerate(rows) if row is None]
    encoded = _encode(tokenizer, [texts[i] for i in missing], max_tokens, stop, side)
    for row, i in enumerate(missing):
        rows[i] = encoded[row].copy()  # its own memory, not a view that keeps the whole alive
    complete = [row for row in rows if row is not None]
    cache.put_all((keys[i], complete[i], complete[i].nbytes + _ENTRY_BYTES) for i in missing)
    return encoded if len(missing) == len(texts) else Ragged.from_rows(complete)


def _digest(text: str) -> bytes:
    """A 160-bit cryptographic hash of a text: no other text can be made to have it."""
    return hashlib.blake2b(text.encode(), digest_size=20).digest()
