"""The models that the server holds."""

from dataclasses import dataclass

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._enums import ModelKind, word_of
from twopass.client._values import text
from twopass.v1 import model_pb2


@dataclass(frozen=True, slots=True)
class Model:
    """A model and the engine that runs it.

    Attributes:
        id: The name that requests use; collections keep the revision.
        kind: Encoder or reranker.
        is_default: Whether requests of its kind that name no model get it.
        engine: "cpu", "onnxruntime", "tensorrt", "torch" or "transformers".
        precision: "f32", "bf16", "fp16" or "int8".
        device: The instruction set or the GPU it runs on.
        sha256: Hash of the weights, hexadecimal; equal weights need not be equal models.
        max_seq_len: Longest sequence in tokens: query, passage and special tokens together.
        max_query_tokens: Most tokens of a query that the model reads.
        max_passage_tokens: Most tokens of a passage read at once, as far as the sequence has room
            beside the query; 0 for an encoder.
        dimension: Components of an embedding; 0 for a reranker.
        blend: Default weight of the first-pass score in the order; 0 for an encoder.
        revision: What the model is known by, hexadecimal: a digest over everything that decides
            what it computes; "" from servers before revisions.
        other_ids: Other spellings under which the server was told to load it.
        takes_instruction: Whether requests may give an `instruction`.
    """

    id: str
    kind: ModelKind
    is_default: bool
    engine: str
    precision: str
    device: str
    sha256: str
    max_seq_len: int
    max_query_tokens: int
    max_passage_tokens: int
    dimension: int
    blend: float
    revision: str = ""
    other_ids: tuple[str, ...] = ()
    takes_instruction: bool = False


def models(*, timeout: float | None = None) -> Call[tuple[Model, ...]]:
    """Returns all models, defaults first, then by id.

    Args:
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.
    """

    def listed(response: model_pb2.ListModelsResponse) -> tuple[Model, ...]:
        return tuple(map(_model, response.models))

    return Call(_rpcs.LIST_MODELS, model_pb2.ListModelsRequest(), listed, timeout)


def model(id: str, *, timeout: float | None = None) -> Call[Model]:  # noqa: A002  # the contract's word
    """Returns one model.

    Args:
        id: The name that requests use.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: No such model.
    """

    def found(response: model_pb2.GetModelResponse) -> Model:
        return _model(response.model)

    request = model_pb2.GetModelRequest(id=text(id, "id"))
    return Call(_rpcs.GET_MODEL, request, found, timeout)


def _model(message: model_pb2.Model) -> Model:
    return Model(
        id=message.id,
        kind=word_of(ModelKind, model_pb2.ModelKind, message.kind),
        is_default=message.default,
        engine=message.engine,
        precision=message.precision,
        device=message.device,
        sha256=message.sha256,
        max_seq_len=message.max_seq_len,
        max_query_tokens=message.max_query_tokens,
        max_passage_tokens=message.max_passage_tokens,
        dimension=message.dimension,
        blend=message.blend,
        revision=message.revision,
        other_ids=tuple(message.other_ids),
        takes_instruction=message.takes_instruction,
    )
