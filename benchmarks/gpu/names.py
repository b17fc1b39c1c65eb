"""What checks and engines are called in a report; goals and entries find their rows by it."""

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


def server_of(engine: str) -> str:
    """What the check of a server over an engine is called."""
    return f"{SERVER}: {engine}"


def is_ours(engine: str) -> bool:
    """Whether a name is that of an engine of ours that runs on GPUs."""
    return engine.startswith(("torch ", "tensorrt "))
