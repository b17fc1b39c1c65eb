"""What the rerank endpoints of all dialects do: texts in, a ranked set out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from twopass.engines.base.model import LoadedReranker
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.http.endpoint import HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.models.passages import Limits, Overlong, Truncation, check_count
from twopass.server.models.tokenizing import Tokenizing, passage_limit
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet, SetOptions
from twopass.server.search.reranking import WholeSet
from twopass.server.search.second_pass import room_beside
from twopass.server.search.spans.settings import SpanSettings

TRUNCATION = "x-twopass-truncation"
"""The header by which a request of any dialect says what becomes of passages that are too long."""

QUERY_TRUNCATED = "x-twopass-query-truncated"
"""The header of an answer whose query was cut: "1"."""

DOCUMENTS_TRUNCATED = "x-twopass-documents-truncated"
"""The header of an answer that says how many passages were not read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Where a request wants texts to be cut, in tokens; 0 for where the model's reading ends.

    Attributes:
        query: Most tokens of the query.
        passage: Most tokens of a passage. More than the model reads at once has it read in windows.
        pair: Most tokens of a query with a passage, special ones included.
        windows: Most windows of a passage; 1 for a single one, whatever `passage` is.
    """

    query: int = 0
    passage: int = 0
    pair: int = 0
    windows: int = 0


NO_CAPS = Caps()
"""As much is read as the model reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A query and its passages, as a request has them.

    Attributes:
        query: The question.
        passages: The passages.
        query_was_cut: Whether the query given was longer than the server takes.
    """

    query: str
    passages: list[str]
    query_was_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How a request wants passages to be ordered.

    Attributes:
        reranker: By which model.
        field: The field of the request that has the passages, for messages.
        way_out: How a request says that texts are to be cut, for messages.
        top_n: How many of the best to return; 0 for all.
        truncates: Whether what is too long is cut, or refused.
        truncation: What becomes of passages that are too long, where the request says so.
        instruction: What makes a passage relevant; "" for the model's own.
        caps: Where texts are cut.
        spans: Which sentences of the best are looked for; None for none.
    """

    reranker: LoadedReranker
    field: str = "documents"
    way_out: str = f"send the header {TRUNCATION}: truncate"
    top_n: int = 0
    truncates: bool = True
    truncation: Truncation | None = None
    instruction: str = ""
    caps: Caps = NO_CAPS
    spans: SpanSettings | None = None


def read_texts(query: str, passages: list[str], order: Order, limits: Limits) -> Texts:
    """Checks a query and passages, and cuts what is longer than the server takes.

    Args:
        query: The question.
        passages: The passages; changed in place.
        order: Whether they may be cut, and the field for messages.
        limits: What a request may hold.

    Raises:
        InvalidRequestError: Names the field, the limit, the value given and the way out.
    """
    check_count(order.field, len(passages), limits.max_candidates, "send several requests")
    read = read_query("query", query, order, limits)
    read_passages(passages, order, limits)
    return Texts(query=read, passages=passages, query_was_cut=len(read) < len(query))


def read_query(field: str, query: str, order: Order, limits: Limits) -> str:
    """A query as `read_texts` reads it, under another name.

    Raises:
        InvalidRequestError: It is empty, or too long and not to be cut.
    """
    if not query or query.isspace():
        raise InvalidRequestError(f"{field}: empty, at least one word is needed")
    if len(query) > limits.max_query_bytes // 4 or "\0" in query:
        return _read(field, query, limits.max_query_bytes, order)
    return query


def read_passages(passages: list[str], order: Order, limits: Limits) -> None:
    """Cuts what is longer than the server takes, in place.

    A passage may be empty: it is scored like any other, since one among hundreds must not fail the
    others. A NUL, which texts taken out of files hold now and then, is read as a space.

    Raises:
        InvalidRequestError: One is too long, and not to be cut.
    """
    most = limits.max_passage_bytes
    for i, passage in enumerate(passages):
        if len(passage) > most // 4 or "\0" in passage:
            passages[i] = _read(f"{order.field}[{i}]", passage, most, order)


def _read(name: str, text: str, max_bytes: int, order: Order) -> str:
    """A text without NULs, cut after `max_bytes` of UTF-8."""
    encoded = text.encode()
    if len(encoded) > max_bytes:
        if not order.truncates or order.truncation is Truncation.REJECT:
            raise InvalidRequestError(
                f"{name}: {len(encoded):,} bytes of UTF-8 given, at most {max_bytes:,}; "
                f"shorten it, or {order.way_out}"
            )
        text = encoded[:max_bytes].decode(errors="ignore")
    return text.replace("\0", " ")


def read_truncation(http: HttpRequest) -> Truncation | None:
    """What a request says by its header of passages that are too long; None where it says nothing.

    Raises:
        InvalidRequestError: The header has no value that is known.
    """
    stated = http.headers.get(TRUNCATION)
    if stated is None:
        return None
    try:
        return Truncation(stated.lower())
    except ValueError:
        known = ", ".join(truncation.value for truncation in Truncation)
        raise InvalidRequestError(
            f"{TRUNCATION}: {stated[:32]!r} given, one of {known} is needed"
        ) from None


def read_top_n(name: str, stated: int | None, count: int) -> int:
    """How many of the best are wanted; 0 and None mean all.

    Raises:
        InvalidRequestError: It is negative.
    """
    if stated is None:
        return 0
    if stated < 0:
        raise InvalidRequestError(f"{name}: {stated} given, at least 0 is needed; 0 returns all")
    return min(stated, count)


class RankTexts:
    """Ranks texts for all dialects."""

    def __init__(self, parts: HttpParts) -> None:
        self._reranking = parts.reranking
        self._tokenizing = parts.tokenizing

    async def rank(self, texts: Texts, order: Order, request: Request) -> RankedSet:
        """Scores the passages of one query, and orders them.

        Raises:
            InvalidRequestError: A text is too long and not to be cut, or the query has no words.
            OverloadedError: There are fewer free places than passages.
            LateError: The deadline came first.
            EngineError: The engine failed.
        """
        if order.caps != NO_CAPS:
            texts = await cut_texts(self._tokenizing, texts, order, request)
        truncation = _truncation(texts, order)
        with self._reranking.open(_options(texts, order, truncation), request) as ranking:
            ranking.add(texts.passages, [None] * len(texts.passages))
            ranked = await ranking.ranked()
        if truncation is Truncation.REJECT:
            await self._ensure_whole(ranked, texts, order)
        return _with_cuts(ranked, texts)

    async def rank_each(
        self, sets: Sequence[Texts], order: Order, request: Request
    ) -> list[RankedSet]:
        """Scores the passages of several queries; all of them are admitted, or none.

        Args:
            sets: Queries and their passages, which may be cut.
            order: How they are scored.
            request: The call.

        Raises:
            InvalidRequestError: A query has no words.
            OverloadedError: There are fewer free places than passages of all sets.
            LateError: The deadline came first.
            EngineError: The engine failed.
        """
        if order.caps != NO_CAPS:
            sets = [await cut_texts(self._tokenizing, texts, order, request) for texts in sets]
        whole = [
            WholeSet(_options(texts, order, _truncation(texts, order)), texts.passages)
            for texts in sets
        ]
        ranked = await self._reranking.ranked_each(whole, request)
        return list(map(_with_cuts, ranked, sets))

    async def _ensure_whole(self, ranked: RankedSet, texts: Texts, order: Order) -> None:
        """Refuses a passage that was cut."""
        if not ranked.truncated.any():
            return
        reranker = order.reranker
        query = await self._tokenizing.pair_query(reranker, texts.query, order.instruction)
        raise InvalidRequestError(
            f"{order.field}[{int(np.argmax(ranked.truncated))}]: longer than the "
            f"{room_beside(reranker, query)} tokens that {reranker.spec.id} reads of a passage "
            f"beside this query, and it is not to be cut; shorten it, or {order.way_out}"
        )


def _options(texts: Texts, order: Order, truncation: Truncation) -> SetOptions:
    return SetOptions(
        query=texts.query,
        num_candidates=len(texts.passages),
        passage_chars=list(map(len, texts.passages)),
        top_n=order.top_n,
        model=order.reranker.spec.id,
        # What is not to be cut is refused after it was scored, in the words of the dialect.
        truncation=Truncation.TRUNCATE if truncation is Truncation.REJECT else truncation,
        instruction=order.instruction,
        query_truncation=Overlong.CUT if order.truncates else Overlong.REFUSE,
        to_cut=order.way_out,
        spans=order.spans,
    )


def _with_cuts(ranked: RankedSet, texts: Texts) -> RankedSet:
    """A ranked set that also tells that the query was cut before the model saw it."""
    return replace(ranked, query_truncated=True) if texts.query_was_cut else ranked


def told_of_cuts(*sets: RankedSet) -> tuple[tuple[str, str], ...]:
    """The headers that say what the model did not read whole, of all sets of an answer."""
    headers: tuple[tuple[str, str], ...] = ()
    if any(ranked.query_truncated for ranked in sets):
        headers += ((QUERY_TRUNCATED, "1"),)
    if num_cut := sum(int(np.count_nonzero(ranked.truncated)) for ranked in sets):
        headers += ((DOCUMENTS_TRUNCATED, str(num_cut)),)
    return headers


async def cut_texts(tokenizing: Tokenizing, texts: Texts, order: Order, request: Request) -> Texts:
    """Cuts a query and its passages where a request says, in tokens.

    Args:
        tokenizing: Tells where tokens end.
        texts: The texts.
        order: Where to cut them.
        request: Ends the work.
    """
    caps, reranker, stop = order.caps, order.reranker, request.stop
    query, was_cut = texts.query, texts.query_was_cut
    # Half of a pair's tokens are left for the passage, however long the query is.
    most = _least(caps.query, caps.pair and max(1, caps.pair // 2))
    if most and most < reranker.spec.max_query_tokens:
        query = (await _cut(tokenizing, reranker, [query], most, stop))[0]
        was_cut = was_cut or query != texts.query
    most = caps.passage
    if caps.pair or caps.windows:
        read = await tokenizing.pair_query(reranker, query, order.instruction, stop=stop)
        room = room_beside(reranker, read)
        of_windows = caps.windows and room + (caps.windows - 1) * (room - room // 4)
        most = _least(most, caps.pair and max(1, caps.pair - read.num_tokens), of_windows)
    passages = texts.passages
    if most and most < passage_limit(reranker, _truncation(texts, order)):
        passages = await _cut(tokenizing, reranker, passages, most, stop)
    return Texts(query=query, passages=passages, query_was_cut=was_cut)


async def _cut(
    tokenizing: Tokenizing, reranker: LoadedReranker, texts: list[str], most: int, stop: Stop
) -> list[str]:
    """Texts, each cut after `most` tokens of the reranker."""
    longer = [i for i, text in enumerate(texts) if _may_exceed(text, most)]
    if not longer:
        return texts
    # Where the first token stands that is one too many; (0, 0) for a text without one.
    first_beyond = np.tile(np.array([most, most + 1], np.int32), (len(longer), 1))
    places = await tokenizing.spans(
        reranker.tokenizer, [texts[i] for i in longer], first_beyond, stop
    )
    cut = list(texts)
    for i, (start, end) in zip(longer, places, strict=True):
        if end:
            cut[i] = texts[i][: start or end]
    return cut


def _may_exceed(text: str, num_tokens: int) -> bool:
    """Whether a text may have more tokens: no tokenizer makes more of it than it has bytes."""
    if len(text) > num_tokens:
        return True
    return not text.isascii() and len(text.encode()) > num_tokens


def _truncation(texts: Texts, order: Order) -> Truncation:
    """What becomes of passages that are too long.

    A request that wants more of a passage read than the model reads at once wants it in windows;
    where no passage is that long, what windows cost is saved.
    """
    if order.truncation is not None:
        return order.truncation
    if not order.truncates:
        return Truncation.REJECT
    caps, spec = order.caps, order.reranker.spec
    readable = spec.max_passage_tokens or spec.max_seq_len
    wants_windows = caps.windows > 1 or (caps.windows == 0 and caps.passage > readable)
    if wants_windows and any(_may_exceed(passage, readable) for passage in texts.passages):
        return Truncation.MAX_WINDOW
    return Truncation.TRUNCATE


def _least(*numbers: int) -> int:
    """The least of the numbers that are not 0; 0 where all are."""
    return min(filter(None, numbers), default=0)
