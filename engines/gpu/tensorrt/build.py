"""Builds a TensorRT plan from an ONNX graph: strongly typed, one profile for each length bucket."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from twopass.engines.errors import ModelError
from twopass.engines.gpu.tensorrt.api import BuildLog, Progress, TensorRT, progress_monitor
from twopass.engines.onnx.bucket_grid import BucketGrid

# Kernels are tuned for this many tokens of a batch at most: enough to fill a large GPU, and nearer
# than the maximum to what a request of 40 candidates makes.
_TUNED_BATCH_TOKENS = 8_192
_FUSED = re.compile(r"^Found (?:node_of_)?(\S+) to be part of self-attention pattern\.")
_SCRATCH = re.compile(r"^Max Scratch Memory: (\d+) bytes")


@dataclass(frozen=True, slots=True)
class Profile:
    """Shapes that one optimisation profile covers: batches of 1 to `max_batch`.

    Attributes:
        seq_len: Tokens of each sequence, padding counted.
        tuned_batch: The batch size that kernels are chosen for.
        max_batch: Most sequences.
    """

    seq_len: int
    tuned_batch: int
    max_batch: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A built plan and what there is to know of it without a GPU.

    Attributes:
        data: The serialised plan. It is code: never load one from elsewhere.
        products: Type of each matrix product by its node's name: "HALF" or "FLOAT".
        fused_attention: Nodes the builder recognised as self-attention, by name.
        scratch_bytes: Memory for activations, one figure for each profile.
        timing_cache: Measured kernels, to build faster the next time; empty where none is kept.
        log: Everything the builder said.
    """

    data: bytes
    products: Mapping[str, str]
    fused_attention: frozenset[str]
    scratch_bytes: tuple[int, ...]
    timing_cache: bytes
    log: tuple[str, ...]


def profiles_of(grid: BucketGrid) -> tuple[Profile, ...]:
    """A profile for each bucket, in the buckets' order."""
    return tuple(
        Profile(
            seq_len=seq_len,
            tuned_batch=max(1, min(grid.max_batch(seq_len), _TUNED_BATCH_TOKENS // seq_len)),
            max_batch=grid.max_batch(seq_len),
        )
        for seq_len in grid.buckets
    )


def build_plan(
    tensorrt: TensorRT,
    graph: onnx.ModelProto,
    profiles: tuple[Profile, ...],
    *,
    timing_cache: bytes = b"",
    progress: Progress | None = None,
) -> Plan:
    """Compiles a graph.

    Args:
        tensorrt: Which TensorRT.
        graph: Of `engines.onnx.graph`; the types in it are those that are computed with.
        profiles: At least one.
        timing_cache: Of an earlier build on the same GPU.
        progress: Told how far the build is.

    Raises:
        ModelError: TensorRT refuses the graph or can't build it; has its first words on that.
    """
    trt = tensorrt.module
    log = BuildLog()
    logger = log.logger(tensorrt)
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph.SerializeToString()):
        error = parser.get_error(0)
        raise ModelError(
            f"{tensorrt.name} does not parse the graph: "
            f"{error.node_operator()} {error.node_name()}: {error.desc()}"
        )
    config = builder.create_builder_config()
    if tensorrt.keeps_timings:
        config.set_timing_cache(config.create_timing_cache(timing_cache), ignore_mismatch=True)
    if progress is not None:
        config.progress_monitor = progress_monitor(tensorrt, progress)
    for profile in profiles:
        config.add_optimization_profile(_profile(builder, profile))
    data = builder.build_serialized_network(network, config)
    if data is None:
        reason = log.errors[0] if log.errors else "it gave no reason"
        raise ModelError(f"{tensorrt.name} does not build the plan: {reason}")
    return Plan(
        data=bytes(data),
        products=_products(trt, network),
        fused_attention=frozenset(m[1] for line in log.lines if (m := _FUSED.match(line))),
        scratch_bytes=tuple(int(m[1]) for line in log.lines if (m := _SCRATCH.match(line))),
        timing_cache=_timings(config) if tensorrt.keeps_timings else b"",
        log=tuple(log.lines),
    )


def _network_flags(trt: Any) -> int:
    """Strong typing, which is a flag in TensorRT 10 and the only way from 11 on."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _profile(builder: Any, profile: Profile) -> Any:
    shapes = builder.create_optimization_profile()
    sizes = (1, profile.tuned_batch, profile.max_batch)
    shapes.set_shape("input_ids", *((size, profile.seq_len) for size in sizes))
    for name in ("lengths", "query_lengths"):
        shapes.set_shape(name, *((size,) for size in sizes))
    return shapes


def _products(trt: Any, network: Any) -> dict[str, str]:
    layers = (network.get_layer(i) for i in range(network.num_layers))
    return {
        layer.name.removeprefix("node_of_"): layer.get_input(0).dtype.name
        for layer in layers
        if layer.type == trt.LayerType.MATRIX_MULTIPLY
    }


def _timings(config: Any) -> bytes:
    return bytes(config.get_timing_cache().serialize())
