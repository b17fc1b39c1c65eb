"""What checks and engines are called in a report; goals and entries find their rows by it."""

import re
from collections.abc import Iterable

from twopass.engines.gpu.launch_paths import LaunchPath

TENSORRT = "TensorRT's word on the GPU"
TESTS = "tests on the GPU"
TESTS_SEARCH = "tests on the GPU: vector index"
TESTS_TENSORRT = "tests on the GPU: TensorRT and pycuda"
CEILING = "fp16 matmul ceiling"
ALIKE = "engines: results against float32"
LATENCY = "engines: requests one after another"
FIXED = "engines: 128 tokens"
SERVED = "engines: the lengths that the server is asked"
MIXED = "engines: mixed lengths"
SHAPES = "engines: speed by shape"
SERVER = "server"
SEARCH = "vector search"
SEARCH_COPIES = "vector search: lists and a graph"
SEARCH_SERVED = "vector search: through the server"
TRAINING = "training"
TRAINING_TWICE = "training: the same weights from the same seed"
TRAINING_COMPILED = "training, compiled"
COMPILED = "plain PyTorch, compiled"

CORE = "cpu int8"
TWO_ENGINES = "2 engines, one device"
PLAIN = "plain PyTorch"
"""Begins the names of transformers' model in batches of some size."""


LAUNCH_PATHS = "launch paths"
"""The column that tells what ways to launch tests are of."""


def of_paths(paths: Iterable[LaunchPath]) -> str:
    """Ways to launch as a cell, and in the names of tests, in the order in which they add up."""
    chosen = {*paths}
    return "+".join(path for path in LaunchPath if path in chosen)


def paths_of(cell: str) -> frozenset[LaunchPath]:
    """The ways to launch that a cell tells."""
    return frozenset(map(LaunchPath, filter(None, cell.split("+"))))


def paths_in(test: str) -> str:
    """The ways to launch that a test is of by its name, as a cell; "" of none."""
    parts = re.split(r"[\[\]-]", test)
    return next((each for each in parts if each and {*each.split("+")} <= {*LaunchPath}), "")


def server_of(engine: str) -> str:
    """What the check of a server over an engine is called."""
    return f"{SERVER}: {engine}"


def is_ours(engine: str) -> bool:
    """Whether a name is that of an engine of ours that runs on GPUs."""
    return engine.startswith(("torch ", "tensorrt "))
