"""The models that the server holds."""

from dataclasses import dataclass

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._enums import ModelKind, word_of
from twopass.client._values import text
from twopass.v1 import model_pb2


@dataclass(frozen=True, slots=True)
class EngineMember:
    """One of several engines that compute a model.

    Attributes:
        name: Where it is: the address of a server with the role engine, or a device.
        engine: The engine, as in `Model`.
        precision: Its precision.
        device: Its instruction set or GPU.
        is_suspected: Whether it owes an answer for longer than its speed explains, and so gets
            nothing while others are there.
        num_batches_held: Batches that it holds now.
        num_batches: Batches that it has computed since it was found, or found again.
        num_tokens: Tokens of these batches.
        tokens_per_second: Its measured speed; 0 before it has computed a batch.
    """

    name: str
    engine: str
    precision: str
    device: str
    is_suspected: bool
    num_batches_held: int
    num_batches: int
    num_tokens: int
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Model:
    """A model and the engine that runs it.

    Attributes:
        id: The name that requests use; collections keep the revision.
        kind: Encoder or reranker.
        is_default: Whether requests of its kind that name no model get it.
        engine: "cpu", "onnxruntime", "tensorrt", "torch" or "transformers"; of several kinds
            together all of them, with "+" between.
        precision: "f32", "bf16", "fp16" or "int8"; of several kinds likewise.
        device: The instruction set or the GPU it runs on; of several all, with commas between.
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
        members: The engines that compute it where there are several, by name; empty where one
            engine does, in the server's own process.
        cuda_graphs: Whether forward passes of usual shapes are launched whole, as CUDA graphs; of
            several engines, whether all do.
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
    members: tuple[EngineMember, ...] = ()
    cuda_graphs: bool = False


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
        members=tuple(map(_member, message.members)),
        cuda_graphs=message.cuda_graphs,
    )


def _member(message: model_pb2.EngineMember) -> EngineMember:
    return EngineMember(
        name=message.name,
        engine=message.engine,
        precision=message.precision,
        device=message.device,
        is_suspected=message.suspected,
        num_batches_held=message.batches_held,
        num_batches=message.num_batches,
        num_tokens=message.num_tokens,
        tokens_per_second=message.tokens_per_second,
    )
