"""From a model's name to a model ready to serve."""

import logging

from twopass.engines.base import LoadedEncoder, LoadedModel, LoadedReranker, ModelKind
from twopass.engines.model_folder import open_model
from twopass.engines.onnxruntime_engine import OnnxRuntimeEncoder, OnnxRuntimeReranker
from twopass.engines.tokenizer import HuggingFaceTokenizer

_logger = logging.getLogger("twopass.engines")


def load_model(name: str, *, num_threads: int) -> LoadedModel:
    """Opens a model's folder, its tokenizer and an engine for it.

    Args:
        name: A shipped model, a folder, or a hub id.
        num_threads: Threads of one forward pass; 0 takes one for each core.

    Raises:
        ModelError: The folder is missing or damaged, or no engine runs it.
    """
    folder = open_model(name)
    tokenizer = HuggingFaceTokenizer(folder.tokenizer)
    model: LoadedModel
    if folder.spec.kind is ModelKind.RERANKER:
        reranker = OnnxRuntimeReranker(folder, num_threads=num_threads)
        model = LoadedReranker(folder.spec, tokenizer, reranker)
    else:
        encoder = OnnxRuntimeEncoder(folder, num_threads=num_threads)
        model = LoadedEncoder(folder.spec, tokenizer, encoder)
    info = model.engine.info
    _logger.info(
        "model loaded",
        extra={
            "model": folder.spec.id,
            "kind": folder.spec.kind.value,
            "engine": info.engine,
            "precision": info.precision,
            "device": info.device,
        },
    )
    return model
