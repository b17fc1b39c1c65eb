"""What an engine is to the server, and what some engines can do beside it."""

import math
from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol, TypeAlias, cast, runtime_checkable

from twopass.engines.base.sequences import Float32s, TokenBatch


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
