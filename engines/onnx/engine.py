"""The ONNX Runtime engine: any model it can read, on any execution provider it has.

Families of ours with safetensors run as our own graph; everything else as the exported graph that
the folder holds. Either is tried as soon as it is opened.
"""

import logging
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from twopass._core import available_cpus, pack_padded
from twopass.engines.base.engine import EngineInfo, PaddedLayout
from twopass.engines.base.sequences import Float32s, Int32s, Ragged, TokenBatch
from twopass.engines.errors import (
    DeviceError,
    EngineError,
    InputTooLongError,
    ModelError,
    OutOfDeviceMemoryError,
    UnsupportedModelError,
)
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.graph_outputs import GraphValue
from twopass.engines.onnx.exported_graph import ExportedGraph, precision_of
from twopass.engines.onnx.graph_writer import ComputeType
from twopass.engines.onnx.half_precision import graph_of
from twopass.engines.onnx.memory import available_bytes

_logger = logging.getLogger("twopass.engines")

# Steps of 16 tokens keep padding low; a CPU gains nothing from fewer shapes.
_BUCKET_STEP = 16
# Beyond this a larger batch is no faster on a CPU: its matrices have left the cache already.
_MAX_BATCH_TOKENS = 1024
# A message of protobuf holds 2 GiB at most; weights of xlm-roberta-large in float32 are 2.2 GB.
_MAX_MESSAGE_BYTES = 1_900_000_000
# Attention's scores, their exponentials and a mask or bias of their size, float32 for each head.
_SCORE_BYTES = 3 * 4


class _Form(Protocol):
    """How a graph is fed and read."""

    outputs: list[str]

    def feeds(
        self, input_ids: Int32s, lengths: Int32s, query_lengths: Int32s
    ) -> dict[str, NDArray[np.generic]]: ...

    def values(self, results: Sequence[NDArray[np.generic]], lengths: Int32s) -> Float32s: ...


class _OwnForm:
    """Our own graph's: it pools, normalises and masks by itself."""

    def __init__(self, output: str) -> None:
        self.outputs = [output]

    def feeds(
        self, input_ids: Int32s, lengths: Int32s, query_lengths: Int32s
    ) -> dict[str, NDArray[np.generic]]:
        return {"input_ids": input_ids, "lengths": lengths, "query_lengths": query_lengths}

    def values(self, results: Sequence[NDArray[np.generic]], lengths: Int32s) -> Float32s:
        del lengths
        return np.asarray(results[0], np.float32)


class OnnxRuntimeEngine:
    """A session and the one thread that runs it; an `Engine`."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        num_threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        """Builds the session and tries it.

        Args:
            folder: The model.
            num_threads: Threads of one forward pass; 0 takes one for each CPU available to the
                process, by affinity and quota.
            providers: ONNX Runtime's execution providers, preferred first.

        Raises:
            ModelError: The folder holds no graph that ONNX Runtime can run, the graph has an input
                that can't be filled or no output that counts, or it fails at `max_seq_len`.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or available_cpus()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._form: _Form
        self._session, self._form, precision = _opened(folder, options, list(providers))
        max_seq_len = folder.spec.max_seq_len
        self._max_seq_len = max_seq_len
        self.output_width = self._try(folder)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"onnxruntime-{folder.spec.id}")
        self.info = EngineInfo(
            engine="onnxruntime",
            precision=precision,
            device=self._session.get_providers()[0].removesuffix("ExecutionProvider"),
            max_seq_len=max_seq_len,
            layout=PaddedLayout((*range(_BUCKET_STEP, max_seq_len, _BUCKET_STEP), max_seq_len)),
            max_batch_tokens=_MAX_BATCH_TOKENS,
        )

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for one forward pass; see `engines.base`."""
        return self._worker.submit(self._run, batch)

    def close(self) -> None:
        """Finishes what was submitted."""
        self._worker.shutdown()

    def _run(self, batch: TokenBatch) -> Float32s:
        longest = int(batch.lengths.max(initial=1))
        if longest > self._max_seq_len:
            raise InputTooLongError(longest, self._max_seq_len)
        packed = np.empty(len(batch) * longest, np.int32)
        lengths = np.empty(len(batch), np.int32)
        rows = np.arange(len(batch), dtype=np.int32)
        pack_padded(batch.token_ids, batch.offsets, rows, longest, 0, packed, lengths)
        input_ids = packed.reshape(len(batch), longest)
        feeds = self._form.feeds(input_ids, lengths, batch.query_lengths)
        options = onnxruntime.RunOptions()
        if longest > _MAX_BATCH_TOKENS:
            # What one long sequence took, which grows with its square, would be kept for good.
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        try:
            results = self._session.run(self._form.outputs, feeds, options)
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            if "allocate" in str(error):
                raise OutOfDeviceMemoryError(f"ONNX Runtime has no memory: {error}") from error
            raise DeviceError(f"ONNX Runtime failed: {error}") from error
        return self._form.values(results, lengths)

    def _try(self, folder: ModelFolder) -> int:
        """Runs a small batch and a long sequence; returns the output's width.

        What is longer than a batch takes seconds: `engines.trial` tries it, by the time it has.

        Raises:
            ModelError: One of them fails.
        """
        longest = self._max_seq_len
        _require_memory(folder, longest)
        token = 0 if folder.config.get("pad_token_id") else 1  # any but the padding's
        try:
            values = self._run(_same_rows(token, 2, 1))
        except (DeviceError, OutOfDeviceMemoryError) as error:
            raise ModelError(f"{folder.path}: the graph fails at two tokens ({error})") from error
        if longest <= _MAX_BATCH_TOKENS:
            self._try_longest(folder, token)
        return 1 if values.ndim == 1 else values.shape[1]

    def _try_longest(self, folder: ModelFolder, token: int) -> None:
        longest = self._max_seq_len
        try:
            self._run(_same_rows(token, 1, longest))
        except (DeviceError, OutOfDeviceMemoryError) as error:
            most = self._longest_that_runs(token)
            raise ModelError(
                f"{folder.path}: max_seq_len is {longest:,}, and the graph takes sequences of "
                f'{most:,} tokens at most; set it in twopass.json: {{"max_seq_len": {most}}} '
                f"({error})"
            ) from error

    def _longest_that_runs(self, token: int) -> int:
        runs, fails = 1, self._max_seq_len
        while fails - runs > 1:
            middle = (runs + fails) // 2
            try:
                self._run(_same_rows(token, 1, middle))
            except EngineError:
                fails = middle
            else:
                runs = middle
        return runs


def _same_rows(token: int, num_rows: int, length: int) -> TokenBatch:
    ragged = Ragged.from_rows([[token] * length] * num_rows)
    halves = np.full(num_rows, (length + 1) // 2, np.int32)
    return TokenBatch(ragged.token_ids, ragged.offsets, halves)


def _require_memory(folder: ModelFolder, max_seq_len: int) -> None:
    """Refuses lengths whose attention alone takes more memory than there is.

    Trying them could end the process instead of the attempt.
    """
    config = folder.config
    heads = next(
        (config[x] for x in ("num_attention_heads", "n_heads", "n_head") if x in config), 1
    )
    needed, free = heads * max_seq_len**2 * _SCORE_BYTES, available_bytes()
    if needed > free:
        raise ModelError(
            f"{folder.path}: max_seq_len is {max_seq_len:,}; on the engine onnxruntime attention "
            f"over as many tokens takes about {needed / 1e9:.1f} GB, {free / 1e9:.1f} are free: "
            'say less in twopass.json ({"max_seq_len": …}), or take another engine'
        )


def _opened(folder: ModelFolder, options: Any, providers: list[str]) -> tuple[Any, _Form, str]:
    """A session, how its graph is fed and read, and the type of its products."""
    own = _own_graph(folder)
    if own is not None:
        session = _own_session(folder, own, options, providers)
        return session, _OwnForm(own.graph.output[0].name), "f32"
    assert folder.onnx is not None
    precision = precision_of(folder.onnx)
    session = _session(folder, str(folder.onnx), options, providers)
    form = ExportedGraph(
        folder,
        GraphValue.all_of(session.get_inputs()),
        GraphValue.all_of(session.get_outputs()),
    )
    _logger.info(
        "exported graph taken",
        extra={"model": folder.spec.id, "file": str(folder.onnx), "output": form.chosen.name},
    )
    return session, form, precision


def _own_session(
    folder: ModelFolder, graph: onnx.ModelProto, options: Any, providers: list[str]
) -> Any:
    """A session of our own graph, by way of files where it is larger than a message may be."""
    if sum(len(tensor.raw_data) for tensor in graph.graph.initializer) < _MAX_MESSAGE_BYTES:
        return _session(folder, graph.SerializeToString(), options, providers)
    with tempfile.TemporaryDirectory(prefix="twopass-graph-") as scratch:
        file = Path(scratch) / "model.onnx"
        try:
            onnx.save(graph, str(file), save_as_external_data=True, location="tensors")
        except OSError as error:
            raise ModelError(
                f"{folder.path}: its graph can't be written to {scratch} ({error}); set TMPDIR to "
                "a folder with room for the weights in float32"
            ) from error
        return _session(folder, str(file), options, providers)


def _session(folder: ModelFolder, graph: bytes | str, options: Any, providers: list[str]) -> Any:
    try:
        return onnxruntime.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ModelError(f"{folder.path}: ONNX Runtime refuses the graph ({error})") from error


def _own_graph(folder: ModelFolder) -> onnx.ModelProto | None:
    """Our own graph where the family is ours; None where the folder's exported one is to run."""
    if not folder.weight_files:
        return None
    try:
        return graph_of(folder, ComputeType.F32)
    except UnsupportedModelError:
        if folder.onnx is None:
            raise
        return None
