"""The engine of the C++ core: encoders on a CPU, packed, in int8, bfloat16 or float32.

A pair's logit is the same bit for bit whatever it is batched with, in whatever order, with however
many threads.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from twopass import _core
from twopass.engines.base.engine import EngineInfo, PackedLayout, Precision
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.cpu.core_config import core_config, core_head
from twopass.engines.errors import InputTooLongError, ModelError, UnsupportedModelError
from twopass.engines.model.folder import ModelFolder

_logger = logging.getLogger("twopass.engines")

# Two batches are in the core at once, so that its threads never wait for the next: while one ends,
# they begin the other. The core takes a small batch, a query perhaps, before the rest of a large
# one, which it computes in pieces of some 3 ms.
_MAX_IN_FLIGHT = 2
_BATCH_SECONDS = 0.020
# Fewer tokens leave cores idle, whatever the speed; more gain nothing.
_MIN_BATCH_TOKENS, _MAX_BATCH_TOKENS = 512, 16_384
_WARM_UP_SEQUENCES, _WARM_UP_TOKENS = 8, 128

_CORE_PRECISIONS = {
    Precision.INT8: _core.Precision.INT8,
    Precision.BF16: _core.Precision.BF16,
    Precision.F32: _core.Precision.F32,
}


def has_fast_kernels() -> bool:
    """Whether the core has kernels for this machine, rather than portable code alone.

    Raises:
        ModelError: The environment variable TWOPASS_ISA names a set this machine lacks.
    """
    return _selected_isa() != "portable"


def _selected_isa() -> str:
    try:
        return _core.selected_isa()
    except ValueError as error:
        raise ModelError(str(error)) from error


class CpuEngine:
    """The packed encoder of the core, and the threads that call it; an `Engine`."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        num_threads: int = 0,
        precision: Precision = Precision.INT8,
    ) -> None:
        """Packs the weights.

        Args:
            folder: The model.
            num_threads: Threads of one forward pass; 0 takes one for each CPU available to it.
            precision: Type of the products.

        Raises:
            UnsupportedModelError: The core does not compute models of this shape.
            ModelError: The weights are damaged or missing.
        """
        isa = _selected_isa()
        self._encoder = _packed_encoder(folder, num_threads, precision)
        self.output_width = self._encoder.output_width
        max_seq_len = min(folder.spec.max_seq_len, self._encoder.max_seq_len)
        self.info = EngineInfo(
            engine="cpu",
            precision=precision.value,
            device=isa,
            max_seq_len=max_seq_len,
            layout=PackedLayout(),
            max_batch_tokens=_MAX_BATCH_TOKENS,
            max_in_flight=_MAX_IN_FLIGHT,
            batch_seconds=_BATCH_SECONDS,
            min_batch_tokens=_MIN_BATCH_TOKENS,
        )
        _warm_up(self._encoder, max_seq_len)
        # As many again for queries, which are submitted whatever else is under way.
        self._callers = ThreadPoolExecutor(
            2 * _MAX_IN_FLIGHT, thread_name_prefix=f"cpu-{folder.spec.id}"
        )
        _logger.debug(
            "scratch memory allocated",
            extra={"model": folder.spec.id, "bytes": self._encoder.scratch_bytes},
        )

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for one forward pass; see `engines.base`."""
        return self._callers.submit(self._run, batch)

    @property
    def token_width(self) -> int:
        """Components of a token's vector; see `TokenEngine`."""
        return self._encoder.token_width

    def submit_tokens(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for the vectors of its tokens; see `TokenEngine`."""
        return self._callers.submit(self._run_tokens, batch)

    def close(self) -> None:
        """Finishes what was submitted."""
        self._callers.shutdown()

    def _run_tokens(self, batch: TokenBatch) -> Float32s:
        self._ensure_fits(batch)
        return self._encoder.forward_tokens(batch.token_ids, batch.offsets, batch.query_lengths)

    def _ensure_fits(self, batch: TokenBatch) -> None:
        longest = int(batch.lengths.max(initial=0))
        if longest > self.info.max_seq_len:
            raise InputTooLongError(longest, self.info.max_seq_len)

    def _run(self, batch: TokenBatch) -> Float32s:
        self._ensure_fits(batch)
        output = self._encoder.forward(batch.token_ids, batch.offsets, batch.query_lengths)
        return output.reshape(len(batch)) if self.output_width == 1 else output


def _packed_encoder(
    folder: ModelFolder, num_threads: int, precision: Precision
) -> _core.PackedEncoder:
    if not folder.weight_files:
        raise UnsupportedModelError(
            f"{folder.path}: no model.safetensors, which the cpu engine reads; "
            "its model.onnx runs on the engine onnxruntime"
        )
    try:
        return _core.PackedEncoder(
            dict(folder.open_weights()),
            core_config(folder.config),
            head=core_head(folder),
            precision=_CORE_PRECISIONS[precision],
            num_threads=num_threads,
        )
    except _core.UnsupportedModelError as error:
        raise UnsupportedModelError(
            f"{folder.path}: {error}; the engine onnxruntime runs it"
        ) from error
    except _core.ModelError as error:
        files = folder.weight_files
        raise ModelError(f"{files[0] if len(files) == 1 else folder.path}: {error}") from error


def _warm_up(encoder: _core.PackedEncoder, max_seq_len: int) -> None:
    """Touches all weights once, so that the first request does not wait for their pages."""
    seq_len = min(_WARM_UP_TOKENS, max_seq_len)
    offsets = np.arange(_WARM_UP_SEQUENCES + 1, dtype=np.int32) * np.int32(seq_len)
    query_lengths = np.ones(_WARM_UP_SEQUENCES, np.int32)
    encoder.forward(np.zeros(offsets[-1], np.int32), offsets, query_lengths)
