"""The seam between the server and whatever computes.

The server sees engines, tokenizers and models through this module alone, so that an engine can be
replaced without a line changing above it. Arrays are C-contiguous; shapes stand in brackets.
"""

import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum, StrEnum
from typing import Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twopass._core import assemble_pairs, assemble_singles, gather_packed, splice
from twopass.engines.model.calibration import Calibration

Int32s: TypeAlias = NDArray[np.int32]
Float32s: TypeAlias = NDArray[np.float32]


# How encoders that are told what a query is for read it: E5-mistral, GTE-Qwen2, Qwen3-Embedding.
_INSTRUCTED = re.compile(r"(Instruct: ).*(\nQuery:\s*)", re.DOTALL)


class ModelKind(StrEnum):
    """What a model computes."""

    ENCODER = "encoder"
    RERANKER = "reranker"


class EngineChoice(StrEnum):
    """Which engine runs a model; auto takes the one shown to be fastest here, and logs why."""

    AUTO = "auto"
    TENSORRT = "tensorrt"
    TORCH = "torch"
    TRANSFORMERS = "transformers"
    CPU = "cpu"
    ONNXRUNTIME = "onnxruntime"


class Precision(StrEnum):
    """Type of the products of weights and activations, where an engine lets one choose."""

    INT8 = "int8"
    BF16 = "bf16"
    F32 = "f32"


class Side(Enum):
    """The side of a text at which it is cut."""

    END = "end"
    START = "start"


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of token ids of unequal length, end to end in one array.

    Attributes:
        token_ids: int32 `[num_tokens]`.
        offsets: int32 `[num_rows + 1]`; row `i` is `token_ids[offsets[i]:offsets[i + 1]]`.
    """

    token_ids: Int32s
    offsets: Int32s

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Int32s:
        """Token ids of one row, a view."""
        return self.token_ids[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Int32s:
        """Tokens in each row, int32 `[num_rows]`."""
        return self.offsets[1:] - self.offsets[:-1]

    def first(self, num_rows: int) -> "Ragged":
        """The first rows, as views."""
        return self.rows(0, num_rows)

    def rows(self, start: int, end: int) -> "Ragged":
        """The rows from `start` to before `end`, or as many of them as there are, as views."""
        offsets = self.offsets[start : end + 1]
        return Ragged(self.token_ids[offsets[0] : offsets[-1]], offsets - offsets[0])

    def at(self, rows: Int32s) -> "Ragged":
        """Some rows in the order of their numbers, copied.

        Args:
            rows: int32 `[n]`.

        Raises:
            ValueError: There is no such row.
        """
        token_ids, offsets, _ = gather_packed(self.token_ids, self.offsets, self.lengths, rows)
        return Ragged(token_ids, offsets)

    def cut(self, max_tokens: int, side: Side = Side.END) -> "Ragged":
        """The rows with at most `max_tokens` tokens each; longer ones are cut at a side."""
        lengths = self.lengths
        kept = np.minimum(lengths, max_tokens)
        starts = self.offsets[:-1] + (lengths - kept if side is Side.START else 0)
        offsets = np.zeros_like(self.offsets)
        np.cumsum(kept, out=offsets[1:])
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], kept)
        return Ragged(self.token_ids[places], offsets)

    def with_parts(
        self,
        into: Int32s,
        positions: Int32s,
        parts: "Ragged",
        max_tokens: int,
    ) -> "Ragged":
        """The rows with further tokens put into them, each cut after `max_tokens`.

        Args:
            into: The row that each part belongs to, int32 `[num_parts]`, ascending.
            positions: Before which of the row's own tokens it stands, int32 `[num_parts]`,
                ascending within a row.
            parts: The tokens, a row for each part.
            max_tokens: At least 0.
        """
        spliced = splice(
            self.token_ids,
            self.offsets,
            into,
            positions,
            parts.token_ids,
            parts.offsets,
            max_tokens,
        )
        return Ragged(*spliced)

    @classmethod
    def from_rows(cls, rows: Sequence[Int32s | Sequence[int]]) -> "Ragged":
        """Joins rows end to end."""
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(list(map(len, rows)), out=offsets[1:])
        filled = [np.asarray(row, np.int32) for row in rows if len(row)]
        return cls(np.concatenate(filled) if filled else np.zeros(0, np.int32), offsets)


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Sequences ready for a forward pass, special tokens included, ragged.

    Attributes:
        token_ids: int32 `[num_tokens]`.
        offsets: int32 `[num_sequences + 1]`.
        query_lengths: int32 `[num_sequences]`; the leading tokens of each sequence that have token
            type 0: the query with its special tokens in a pair, the whole of a single text.
    """

    token_ids: Int32s
    offsets: Int32s
    query_lengths: Int32s

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def num_tokens(self) -> int:
        """Tokens in all sequences together."""
        return len(self.token_ids)

    @property
    def lengths(self) -> Int32s:
        """Tokens in each sequence, int32 `[num_sequences]`."""
        return self.offsets[1:] - self.offsets[:-1]


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """Where special tokens go in a pair, `prefix query separator passage suffix`, and token types.

    BERT has `([CLS],) ([SEP],) ([SEP],)`, RoBERTa `(<s>,) (</s>, </s>) (</s>,)` without types.

    Attributes:
        prefix: Before the query.
        separator: Between query and passage.
        suffix: After the passage.
        passage_type: Token type of the passage and the suffix: 1, or 0 where the tokenizer has no
            types. All before them is of type 0.
        num_query_separators: How many tokens of the separator are of the query's type; meaningless
            where there is only one.
    """

    prefix: tuple[int, ...]
    separator: tuple[int, ...]
    suffix: tuple[int, ...]
    passage_type: int = 1
    num_query_separators: int = 1

    @property
    def num_pair_tokens(self) -> int:
        """Special tokens in a pair."""
        return len(self.prefix) + len(self.separator) + len(self.suffix)

    def assemble(
        self, query_ids: Int32s, passages: Ragged, max_seq_len: int
    ) -> tuple[TokenBatch, NDArray[np.bool_]]:
        """Puts one query before each passage.

        Args:
            query_ids: int32 `[num_tokens]`, all of which are read.
            passages: A row for each passage.
            max_seq_len: Most tokens in a sequence; a passage that exceeds it is cut at its end.

        Returns:
            The pairs, and where a passage was cut, bool `[num_passages]`.

        Raises:
            ValueError: `max_seq_len` leaves no token of some passage.
        """
        token_ids, offsets, query_lengths, truncated = assemble_pairs(
            query_ids,
            passages.token_ids,
            passages.offsets,
            np.array(self.prefix, np.int32),
            np.array(self.separator, np.int32),
            np.array(self.suffix, np.int32),
            max_seq_len,
        )
        if self.passage_type == 0:
            query_lengths = offsets[1:] - offsets[:-1]
        elif self.num_query_separators != min(1, len(self.separator)):
            num_queries = len(self.prefix) + len(query_ids) + self.num_query_separators
            query_lengths = np.full(len(passages), num_queries, np.int32)
        return TokenBatch(token_ids, offsets, query_lengths), truncated


@dataclass(frozen=True, slots=True)
class SingleTemplate:
    """Where special tokens go around a single text, `prefix text suffix`, and its token types.

    Attributes:
        prefix: Before the text.
        suffix: After it.
        num_zero_types: How many tokens at the beginning are of type 0, all others of type 1; None
            where all are of type 0, as nearly everywhere.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    num_zero_types: int | None = None

    @property
    def num_tokens(self) -> int:
        """Special tokens around a text."""
        return len(self.prefix) + len(self.suffix)

    def assemble(self, texts: Ragged, max_seq_len: int) -> tuple[TokenBatch, NDArray[np.bool_]]:
        """Puts special tokens around each text.

        Args:
            texts: A row for each text.
            max_seq_len: Most tokens in a sequence; a text that exceeds it is cut at its end.

        Returns:
            The sequences, and where a text was cut, bool `[num_texts]`.

        Raises:
            ValueError: `max_seq_len` leaves no token of some text.
        """
        token_ids, offsets, zero_types, truncated = assemble_singles(
            texts.token_ids,
            texts.offsets,
            np.array(self.prefix, np.int32),
            np.array(self.suffix, np.int32),
            max_seq_len,
        )
        if self.num_zero_types is not None:
            zero_types = np.minimum(zero_types, np.int32(self.num_zero_types))
        return TokenBatch(token_ids, offsets, zero_types), truncated


class Tokenizer(Protocol):
    """Turns texts into token ids, without special tokens. Safe to call from several threads."""

    fingerprint: str
    """Equal for two tokenizers exactly when they give equal ids: token ids are stored under it."""

    pad_id: int

    @property
    def template(self) -> PairTemplate:
        """Where special tokens go in a pair; only a reranker's tokenizer surely has one."""

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises texts; a row is cut after `max_tokens` tokens.

        Args:
            texts: Any Unicode without lone surrogates; an empty text has no tokens.
            max_tokens: At least 1.
        """

    def places(self, text: str) -> Int32s:
        """Where each token of a text stands in it, int32 `[num_tokens, 2]`.

        Returns:
            The first character and one past the last, in code points; the tokens are `encode`'s.
        """

    def pieces(self, text: str, max_chars: int) -> list[str]:
        """Parts of a text, which joined are the text, and whose tokens joined are its tokens.

        Args:
            text: Any text.
            max_chars: Length of a part at most, in code points, where the text can be cut so.

        Returns:
            At least one part; the text itself where no place to cut is proved.
        """

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest id of a token."""

    def token(self, token_id: int) -> str:
        """What a token is called in the vocabulary; "" for an id that no token has."""

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that tokens stand for.

        Args:
            token_ids: Each at least 0 and below `vocabulary_size`.
            skip_special: Whether special tokens are left out.
        """


@runtime_checkable
class QuickTokenizer(Protocol):
    """A tokenizer that may tell the tokens of most texts in less time than a cache of them takes.

    Text of ASCII alone takes it about a microsecond for each ten tokens.
    """

    @property
    def is_quick(self) -> bool:
        """Whether it is; `encode_quickly` is called only where it is."""

    def encode_quickly(self, texts: Sequence[str], max_tokens: int) -> tuple[Ragged, list[int]]:
        """Does what `Tokenizer.encode` does, as far as it is quick.

        Returns:
            The rows, and which of them are empty since their texts are left to `encode`.
        """


class Prompt(Protocol):
    """What a decoder reads around a query and a passage. Safe to call from several threads.

    The model's tokenizer tokenises passages as they stand in the prompt.
    """

    takes_instruction: bool
    """Whether a request may say by an instruction what makes a passage relevant."""

    beside_query: tuple[tuple[int, ...], tuple[int, ...]]
    """Line breaks that are tokenised with a query, before it and after it: they stay where it is
    cut, so that the prompt keeps its form."""

    def encode_queries(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises queries as they stand in the prompt; as `Tokenizer.encode`."""

    def num_instruction_tokens(self, instruction: str, max_tokens: int) -> int:
        """How many tokens an instruction has, counted up to `max_tokens`."""

    def pair_template(self, instruction: str) -> PairTemplate:
        """What stands around query and passage.

        Args:
            instruction: What makes a passage relevant; "" for the model's own. Only where
                `takes_instruction`.
        """


@runtime_checkable
class TextTokenizer(Tokenizer, Protocol):
    """The tokenizer of an encoder, which reads single texts, perhaps after a prefix."""

    single: SingleTemplate
    """What stands around a text; the tokens of `prefix` that no text changes among it."""

    prefix: str
    """The text that stands before every text; "" for none."""

    num_prefix_tokens: int
    """Tokens at the beginning of a row that are the prefix's; 0 where all are in `single`."""

    def after(self, prefix: str) -> "TextTokenizer":
        """The tokenizer of texts that stand after a prefix, with which they are tokenised.

        The tokens before a text and a row of `encode` together are those of prefix and text
        tokenised as one string: where a tokenizer joins a space with the word after it, "query: "
        and "How" have other tokens apart. Where the tokens of a text are provably the same after
        the prefix as alone, the fingerprint is this tokenizer's; else it is one of its own, since
        token ids of the one are not those of the other.

        Args:
            prefix: Follows special tokens directly; "" gives this tokenizer.
        """


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """The engine computes exactly the tokens it is given: a batch costs the sum of its lengths."""


@dataclass(frozen=True, slots=True)
class PaddedLayout:
    """The engine pads each sequence of a batch to one of `buckets`, ascending lengths in tokens."""

    buckets: tuple[int, ...]


Layout: TypeAlias = PackedLayout | PaddedLayout


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the server needs to know of an engine to feed it and to describe it.

    Attributes:
        engine: "onnxruntime", "cpu", "tensorrt", "torch" or "transformers"; of a mixed fleet all
            that its members have, with "+" between them.
        precision: "f32", "bf16", "fp16" or "int8", or several likewise.
        device: The instruction set or the GPU's name, or several with commas between them.
        max_seq_len: Longest sequence in tokens, special tokens included.
        layout: What a batch costs.
        max_batch_tokens: Tokens of a batch (padded ones counted) beyond which larger gains nothing.
        max_in_flight: How many batches it may be computing at once; queries come on top.
        batch_seconds: How long a batch may take, so that nothing waits longer for it; where the
            engine is slow, batches hold fewer than `max_batch_tokens`, but `min_batch_tokens`.
        has_graphs: Whether it launches usual shapes as CUDA graphs, whole.
    """

    engine: str
    precision: str
    device: str
    max_seq_len: int
    layout: Layout
    max_batch_tokens: int
    max_in_flight: int = 1
    batch_seconds: float = math.inf
    min_batch_tokens: int = 1
    has_graphs: bool = False


class Engine(Protocol):
    """A model on a device: it computes a logit or an embedding for each sequence of a batch."""

    @property
    def info(self) -> EngineInfo:
        """What it is; that of a fleet follows its members, so it is read for each decision."""

    @property
    def output_width(self) -> int:
        """Numbers for each sequence: 1 for a reranker's logit, `hidden_size` for an embedding."""

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues every sequence of a batch for one forward pass.

        Returns:
            A future of float32 values in batch order. A reranker's are raw logits `[num_sequences]`
            of (query, passage) pairs: higher is more relevant. An encoder's are L2-normalised
            embeddings `[num_sequences, output_width]`. The future raises `InputTooLongError` for a
            sequence longer than `info.max_seq_len`, `OutOfDeviceMemoryError` for a batch that does
            not fit on the device now, and `DeviceError` when the device failed and the engine must
            be rebuilt.
        """

    def close(self) -> None:
        """Finishes what was submitted, then frees the device. Idempotent."""


@runtime_checkable
class TokenEngine(Protocol):
    """An engine that also gives the vector of each token."""

    @property
    def token_width(self) -> int:
        """Components of a token's vector; 0 where this model's engine gives none after all."""

    def submit_tokens(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch as `Engine.submit` does, for the vectors of its tokens.

        Returns:
            A future of float32 `[num_tokens, token_width]`, what the last layer makes of each
            token, special ones included, neither pooled nor normalised, in the order of the
            batch's tokens.
        """


def token_width_of(engine: Engine) -> int:
    """Components of the vectors that an engine gives of single tokens; 0 where it gives none."""
    return engine.token_width if isinstance(engine, TokenEngine) else 0


class Urgency(IntEnum):
    """What a batch is for; what is computed first where several wait."""

    QUERY = 0
    """Queries to embed."""
    RERANK = 1
    """Pairs to rerank."""
    INGEST = 2
    """Documents to embed."""
    SHADOW = 3
    """Pairs that nobody waits for, for comparisons."""


@dataclass(frozen=True, slots=True)
class BatchTerms:
    """How a batch is wanted, for an engine that others ask too.

    Attributes:
        urgency: What it is for.
        end: When nobody waits for it any more, seconds of `time.perf_counter`; None for never.
        of_tokens: Whether the vectors of tokens are wanted, rather than an output of each sequence.
    """

    urgency: Urgency = Urgency.INGEST
    end: float | None = None
    of_tokens: bool = False


@runtime_checkable
class DistantEngine(Protocol):
    """An engine that others ask too: it is told until when a batch is wanted, and for what."""

    def submit_on(self, batch: TokenBatch, terms: BatchTerms) -> Future[Float32s]:
        """Queues a batch as `Engine.submit` or `TokenEngine.submit_tokens` does.

        Returns:
            Their future. Cancelling it tells the engine that nobody waits any more: what has not
            begun is not computed.
        """


@runtime_checkable
class PacedEngine(Protocol):
    """An engine that knows its own speed, such as one of several that are seldom all at work."""

    @property
    def tokens_per_second(self) -> float:
        """What it computes when it has enough to do, as measured; 0 where that is unknown yet."""


@runtime_checkable
class SharingEngine(Protocol):
    """An engine that computes once what several sequences of its batches begin with."""

    @property
    def num_shared_tokens(self) -> int:
        """Tokens submitted so far that were not computed, since others began with the same."""


# `isinstance` compares every member of a protocol each time, 10 us and more before Python 3.12, and
# these are asked about every batch.


def as_distant(engine: Engine) -> DistantEngine | None:
    """An engine as one that is told how batches are wanted; None where it is none."""
    return cast("DistantEngine", engine) if hasattr(engine, "submit_on") else None


def as_paced(engine: Engine) -> PacedEngine | None:
    """An engine as one that knows its own speed; None where it is none."""
    return cast("PacedEngine", engine) if hasattr(engine, "tokens_per_second") else None


def as_quick(tokenizer: Tokenizer) -> QuickTokenizer | None:
    """A tokenizer as one that is quick at most texts; None where it is none."""
    quick = cast("QuickTokenizer", tokenizer)
    return quick if getattr(quick, "is_quick", False) else None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model's folder says of it, beside its weights.

    Attributes:
        id: The name requests use.
        kind: Encoder or reranker.
        revision: What the model is known by, 64 hexadecimal digits: a digest over everything that
            decides what it computes; see `engines.model.identity`.
        max_seq_len: Tokens it was made for, special tokens included.
        max_query_tokens: Most tokens of a query that are read, without special ones.
        max_passage_tokens: Of a passage, as many are read at once, in one pair; None for all that
            the sequence has room for. Rerankers only.
        query_prefix: Text put before every query (e5, bge); encoders only.
        passage_prefix: Text put before every passage; encoders only.
        prompts: Texts that requests may ask to have put before theirs, by name; encoders only.
        poolings: How token vectors are made into an embedding, in the words of
            `engines.model.pooling`; encoders only.
        labels: Names of what the head tells apart, in order; rerankers only.
        relevant_label: Of two labels the one of relevant pairs, 0 or 1; None where there is one.
        calibration: From logit to score; rerankers only.
        answer_threshold: The score from which on a passage is taken for an answer; None where none
            was chosen. Rerankers only.
        blend: Default weight of the first-pass score in the order, 0 to 1; rerankers only.
        weights_sha256: sha256 of the file of weights, hexadecimal; of several files, that of their
            digests, sorted.
        legacy_revision: What servers before this revision knew the model by, where they read its
            folder to the same meaning: the sha256 of its weights. None where they did not.
        read_anew: How they read it otherwise, for a message; empty where they did not.
        other_names: Other spellings under which the server was told to load it.
    """

    id: str
    kind: ModelKind
    revision: str
    max_seq_len: int
    max_query_tokens: int
    max_passage_tokens: int | None = None
    query_prefix: str = ""
    passage_prefix: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict, hash=False)
    poolings: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    relevant_label: int | None = None
    calibration: Calibration = field(default_factory=Calibration)
    answer_threshold: float | None = None
    blend: float = 0.0
    weights_sha256: str = ""
    legacy_revision: str | None = None
    read_anew: str = ""
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PairQuery:
    """A query as a reranker reads it before each passage.

    Attributes:
        token_ids: The query's, without special tokens, int32 `[num_tokens]`.
        template: What stands around query and passage; a decoder's holds the instruction.
        truncated: Whether the query was cut.
    """

    token_ids: Int32s
    template: PairTemplate
    truncated: bool = False

    @property
    def num_tokens(self) -> int:
        """Tokens of a pair beside the passage's."""
        return self.template.num_pair_tokens + len(self.token_ids)


@dataclass(frozen=True, slots=True)
class LoadedReranker:
    """A reranker ready to serve: what it is, its tokenizer, its engine.

    Attributes:
        prompt: Of a decoder: what stands around query and passage. None where they are joined by
            the tokenizer's template.
    """

    spec: ModelSpec
    tokenizer: Tokenizer
    engine: Engine
    prompt: Prompt | None = None

    @property
    def takes_instruction(self) -> bool:
        """Whether a request may say by an instruction what makes a passage relevant."""
        return self.prompt is not None and self.prompt.takes_instruction

    def query_ids(self, query: str, max_tokens: int) -> Int32s:
        """The first token ids of a query, with the white space beside it in a decoder's prompt."""
        encode = self.tokenizer.encode if self.prompt is None else self.prompt.encode_queries
        return encode([query], max_tokens)[0]

    def pair_query(
        self, query_ids: Int32s, instruction: str = "", side: Side = Side.END
    ) -> PairQuery:
        """A query with what stands around it and a passage, cut where it is too long.

        Args:
            query_ids: From `query_ids`; to be cut at its start, all of them.
            instruction: What makes a passage relevant; "" for the model's own. Only where
                `takes_instruction`.
            side: Where it is cut.
        """
        most, ids = self.spec.max_query_tokens, query_ids
        before, after = ((), ()) if self.prompt is None else self.prompt.beside_query
        if (is_cut := len(ids) > most) and side is Side.END:
            kept = ids[: max(1, most - len(after))]
            ids = np.concatenate([kept, np.array(after, np.int32)])
        elif is_cut:
            kept = ids[-max(1, most - len(before)) :]
            ids = np.concatenate([np.array(before, np.int32), kept])
        template = self.tokenizer.template
        if self.prompt is not None:
            template = self.prompt.pair_template(instruction)
        return PairQuery(ids, template, is_cut)

    def read_query(self, query: str, instruction: str = "") -> PairQuery:
        """A query as the model reads it, its end cut where it is too long."""
        return self.pair_query(self.query_ids(query, self.spec.max_query_tokens + 1), instruction)


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """An encoder ready to serve: what it is, its tokenizer, its engine."""

    spec: ModelSpec
    tokenizer: TextTokenizer
    engine: Engine

    @property
    def takes_instruction(self) -> bool:
        """Whether a request may say by an instruction what a query is embedded for."""
        return _INSTRUCTED.fullmatch(self.spec.query_prefix) is not None

    def instructed(self, instruction: str) -> "LoadedEncoder":
        """The encoder that embeds queries under an instruction; "" gives this one.

        Passages are embedded as ever. Only where `takes_instruction`.
        """
        if not instruction:
            return self
        around = _INSTRUCTED.fullmatch(self.spec.query_prefix)
        assert around is not None
        prefix = f"{around[1]}{instruction}{around[2]}"
        return replace(self, spec=replace(self.spec, query_prefix=prefix))

    @property
    def query_tokenizer(self) -> TextTokenizer:
        """The tokenizer of queries, which stand after the model's prefix for queries."""
        return self.tokenizer.after(self.spec.query_prefix)

    @property
    def passage_tokenizer(self) -> TextTokenizer:
        """The tokenizer of passages, which stand after the model's prefix for passages."""
        return self.tokenizer.after(self.spec.passage_prefix)


LoadedModel: TypeAlias = LoadedReranker | LoadedEncoder
