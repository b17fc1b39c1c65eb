"""Which model an operation is for, and what there is to say of it."""

import time
from dataclasses import dataclass
from importlib.metadata import version

from twopass.engines.base.model import LoadedEncoder, LoadedModel, LoadedReranker
from twopass.server.config import ServerConfig
from twopass.server.errors import UnknownModelError, WrongModelKindError
from twopass.server.models.passages import Limits
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.reranking import Reranking
from twopass.server.tei.types import NOTHING_CUT, Cost, Cuts, Info
from twopass.server.telemetry.stopwatch import StageTimings

TEI_VERSION = "1.9.3"
"""The version whose interface this is; clients of TEI decide by it what they may ask for."""

_DTYPES = {"f32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
_POOLINGS = {"last": "last_token"}
_ON_GPUS = frozenset({"tensorrt", "torch"})
# What a reranker is called by that names no label.
_LABELS = ("LABEL_0",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeiParts:
    """What TEI's operations work with.

    Attributes:
        config: The server's settings.
        models: The models.
        arbiter: Admits texts and computes sequences.
        tokenizing: Makes token ids of texts.
        reranking: Orders candidate sets.
        limits: What a request may hold.
    """

    config: ServerConfig
    models: Models
    arbiter: Arbiter
    tokenizing: Tokenizing
    reranking: Reranking
    limits: Limits


class ServedModels:
    """The models as TEI sees them, which serves one: the one that is named, or a default."""

    def __init__(self, parts: TeiParts) -> None:
        self._parts = parts

    def any(self, model_id: str = "") -> LoadedModel:
        """The model of an id; "" means the default reranker, or else the default encoder.

        Raises:
            UnknownModelError: The server holds no such model.
        """
        models = self._parts.models
        if model_id:
            return models.get(model_id)
        try:
            return models.reranker()
        except UnknownModelError:
            return models.encoder()

    def reranker(self, model_id: str, problem: str) -> LoadedReranker:
        """The reranker of an id; "" means the default.

        Args:
            model_id: The id.
            problem: What is said of an encoder.

        Raises:
            WrongModelKindError: It is an encoder.
            UnknownModelError: The server holds no such model.
        """
        models = self._parts.models
        model = models.get(model_id) if model_id else models.reranker()
        if not isinstance(model, LoadedReranker):
            raise WrongModelKindError(problem)
        return model

    def encoder(self, model_id: str) -> LoadedEncoder:
        """The encoder of an id; "" means the default; raises what `reranker` raises."""
        models = self._parts.models
        model = models.get(model_id) if model_id else models.encoder()
        if not isinstance(model, LoadedEncoder):
            raise WrongModelKindError("Model is not an embedding model")
        return model

    def max_texts(self, model: LoadedModel) -> int:
        """Most texts of one request."""
        limits = self._parts.limits
        return limits.max_documents if isinstance(model, LoadedEncoder) else limits.max_candidates

    def info(self, model_id: str = "") -> Info:
        """Describes the model that `any` gives."""
        model, config = self.any(model_id), self._parts.config
        spec, engine = model.spec, model.engine.info
        is_encoder = isinstance(model, LoadedEncoder)
        return Info(
            model_id=spec.id,
            model_sha=spec.revision,
            model_dtype=_DTYPES.get(engine.precision, engine.precision),
            pooling=_pooling(model) if is_encoder else None,
            labels=() if is_encoder else labels_of(model),
            max_concurrent_requests=config.max_calls,
            max_input_length=max_seq_len(model),
            max_batch_tokens=engine.max_batch_tokens,
            max_client_batch_size=self.max_texts(model),
            auto_truncate=True,
            tokenization_workers=self._parts.tokenizing.lane.num_threads,
            version=TEI_VERSION,
            docker_label=f"twopass {version('twopass')}",
        )


def labels_of(model: LoadedModel) -> tuple[str, ...]:
    """The names of what a reranker tells apart."""
    return model.spec.labels or _LABELS


def max_seq_len(model: LoadedModel) -> int:
    """Most tokens of a sequence, special tokens included."""
    return min(model.spec.max_seq_len, model.engine.info.max_seq_len)


def cost_of(
    model: LoadedModel,
    request: Request,
    timings: StageTimings,
    *,
    num_chars: int,
    num_tokens: int,
    cuts: Cuts = NOTHING_CUT,
) -> Cost:
    """What an answer has taken until now.

    Args:
        model: The model that computed it.
        request: The call.
        timings: Of its stages.
        num_chars: Characters of its texts.
        num_tokens: Tokens that the model read.
        cuts: What was cut to fit the model.
    """
    device = "gpu" if model.engine.info.engine in _ON_GPUS else "cpu"
    return Cost(
        compute_type=f"{device}+optimized",
        num_chars=num_chars,
        num_tokens=num_tokens,
        total=time.perf_counter() - request.received,
        tokenize=timings.tokenize or 0.0,
        queue=timings.queue or 0.0,
        inference=timings.rerank or timings.embed or 0.0,
        cuts=cuts,
    )


def _pooling(model: LoadedModel) -> str:
    names = (_POOLINGS.get(name, name) for name in model.spec.poolings)
    return "+".join(names) or "mean"
