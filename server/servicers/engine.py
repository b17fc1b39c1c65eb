"""EngineService: batches of token ids for servers in front, computed as raw values."""

import secrets
import time
from collections.abc import Callable, Collection
from importlib.metadata import version
from math import inf

import numpy as np

from twopass.engine.v1 import engine_pb2
from twopass.engines.base.engine import PaddedLayout, token_width_of
from twopass.engines.base.model import LoadedModel
from twopass.engines.base.sequences import Int32s, TokenBatch
from twopass.server.errors import (
    InvalidRequestError,
    UnknownModelError,
    WorkerChangedError,
    WrongModelKindError,
)
from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter, Priority

# Servers in front ask every 2 s.
_LATELY_SECONDS = 5.0
_PRIORITIES = {
    engine_pb2.URGENCY_QUERY: Priority.QUERY,
    engine_pb2.URGENCY_RERANK: Priority.RERANK,
}


class EngineServicer:
    """Computes the models of this process for servers that name it with `--engines`.

    Attributes:
        drains: Whether the process is about to end, which those that ask are told.
    """

    def __init__(
        self, models: Models, arbiter: Arbiter, silent: Callable[[], Collection[str]]
    ) -> None:
        """Takes what it works with.

        Args:
            models: The models.
            arbiter: The arbiter of the device.
            silent: Tells the ids of the models whose engines do not answer now.
        """
        self._models = {model.spec.revision: model for model in models.all()}
        self._vocabularies = {
            revision: model.tokenizer.vocabulary_size for revision, model in self._models.items()
        }
        self.drains = False
        self._asked_at = -inf
        self._arbiter = arbiter
        self._silent = silent
        self._worker_id = secrets.token_hex(16)
        self._version = version("twopass")

    @property
    def is_asked(self) -> bool:
        """Whether a server in front has asked lately, and so will ask again."""
        return time.monotonic() - self._asked_at < _LATELY_SECONDS

    async def describe(
        self, message: engine_pb2.DescribeRequest, request: Request
    ) -> engine_pb2.DescribeResponse:
        """Returns what the engine of each model is."""
        self._asked_at = time.monotonic()
        silent = self._silent()
        return engine_pb2.DescribeResponse(
            worker_id=self._worker_id,
            version=self._version,
            drains=self.drains,
            models=[
                _held(model, answers=model.spec.id not in silent) for model in self._models.values()
            ],
        )

    async def compute(
        self, message: engine_pb2.ComputeRequest, request: Request
    ) -> engine_pb2.ComputeResponse:
        """Computes a batch, unless its caller goes first.

        The server in front has decided that there is time for it, by the speed of all its workers,
        so nothing is refused for its deadline here: it ends the call.
        """
        if message.worker_id != self._worker_id:
            raise WorkerChangedError(
                "worker_id: another process was described than answers now; describe it again"
            )
        model = self._models.get(message.revision)
        if model is None:
            raise UnknownModelError(
                f"revision: no model of revision {message.revision[:12]!r} is held here",
                model=message.revision[:64],
            )
        of_tokens = message.output == engine_pb2.OUTPUT_TOKENS
        if of_tokens and not token_width_of(model.engine):
            raise WrongModelKindError(
                f"output: the engine {model.engine.info.engine} gives no vectors of single tokens "
                f"of {model.spec.id}; ask for OUTPUT_SEQUENCES",
                model=model.spec.id,
            )
        batch = _batch(message, self._vocabularies[message.revision])
        computed = await self._arbiter.compute(
            model.engine,
            batch,
            _PRIORITIES.get(message.urgency, Priority.INGEST),
            of_tokens=of_tokens,
            takes_any=True,
        )
        return engine_pb2.ComputeResponse(
            values=np.ascontiguousarray(computed.output, "<f4").tobytes()
        )


def _held(model: LoadedModel, *, answers: bool) -> engine_pb2.HeldModel:
    info = model.engine.info
    return engine_pb2.HeldModel(
        id=model.spec.id,
        revision=model.spec.revision,
        answers=answers,
        engine=info.engine,
        precision=info.precision,
        device=info.device,
        max_seq_len=info.max_seq_len,
        buckets=info.layout.buckets if isinstance(info.layout, PaddedLayout) else (),
        max_batch_tokens=info.max_batch_tokens,
        min_batch_tokens=info.min_batch_tokens,
        max_in_flight=info.max_in_flight,
        batch_seconds=0.0 if info.batch_seconds == inf else info.batch_seconds,
        output_width=model.engine.output_width,
        token_width=token_width_of(model.engine),
        cuda_graphs=info.has_graphs,
    )


def _batch(message: engine_pb2.ComputeRequest, vocabulary_size: int) -> TokenBatch:
    """The batch of a message, checked: kernels read what the offsets say.

    Raises:
        InvalidRequestError: It is no batch; names the field.
    """
    token_ids = _int32s("token_ids", message.token_ids)
    offsets = _int32s("offsets", message.offsets)
    query_lengths = _int32s("query_lengths", message.query_lengths)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(token_ids):
        raise InvalidRequestError(
            f"offsets: they have to begin with 0 and end with the {len(token_ids):,} token ids"
        )
    lengths = np.diff(offsets.astype(np.int64))
    if (lengths < 1).any():
        raise InvalidRequestError("offsets: a sequence has no token, or ends before it begins")
    if len(query_lengths) != len(lengths):
        raise InvalidRequestError(
            f"query_lengths: {len(query_lengths):,} given for {len(lengths):,} sequences"
        )
    if (query_lengths < 0).any() or (query_lengths > lengths).any():
        raise InvalidRequestError("query_lengths: one is below 0 or above its sequence's length")
    if len(token_ids) and not 0 <= int(token_ids.min()) <= int(token_ids.max()) < vocabulary_size:
        raise InvalidRequestError(
            f"token_ids: one is outside of the vocabulary, 0 to {vocabulary_size - 1:,}"
        )
    return TokenBatch(token_ids, offsets, query_lengths)


def _int32s(field: str, content: bytes) -> Int32s:
    if len(content) % 4:
        raise InvalidRequestError(f"{field}: {len(content):,} bytes are no array of int32")
    return np.frombuffer(content, "<i4").astype(np.int32, copy=False)
