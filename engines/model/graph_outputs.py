"""Which output of an exported graph counts, and which one older servers took."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import ModelError

# As Hugging Face's exporters name them.
_TOKEN_VECTORS = ("last_hidden_state", "token_embeddings")
_EMBEDDING, _POOLER, _LOGITS = "sentence_embedding", "pooler_output", "logits"
# What may stand between an L2 norm and the division by it: a lower bound, another shape or type.
_BESIDE_A_NORM = frozenset({"Add", "Cast", "Clip", "Expand", "Identity", "Max", "Unsqueeze"})


@dataclass(frozen=True, slots=True)
class GraphValue:
    """An input or an output of a graph.

    Attributes:
        name: Its name.
        type: "tensor(int64)", …, as ONNX Runtime tells it.
        shape: Sizes; a name or None where one is free. Empty where nothing is known.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]

    @classmethod
    def all_of(cls, values: Sequence[Any]) -> "tuple[GraphValue, ...]":
        """From ONNX Runtime's own descriptions."""
        return tuple(cls(x.name, x.type, tuple(x.shape or ())) for x in values)

    @classmethod
    def outputs_of(cls, graph: onnx.GraphProto) -> "tuple[GraphValue, ...]":
        """The outputs of a graph, as its file tells them."""
        return tuple(
            cls(
                x.name,
                "",
                tuple(
                    size.dim_value if size.HasField("dim_value") else size.dim_param or None
                    for size in x.type.tensor_type.shape.dim
                ),
            )
            for x in graph.output
        )

    def __str__(self) -> str:
        """Name and shape, for messages."""
        return f"{self.name} [{', '.join('?' if x is None else str(x) for x in self.shape)}]"

    def has_rank(self, rank: int) -> bool:
        """Whether it has so many dimensions, as far as is known."""
        return not self.shape or len(self.shape) == rank


@dataclass(frozen=True, slots=True)
class ChosenOutput:
    """The output that counts.

    Attributes:
        name: Its name.
        is_pooled: Whether an encoder's is one vector for each text already.
    """

    name: str
    is_pooled: bool


def choose_output(kind: ModelKind, outputs: Sequence[GraphValue], label: str) -> ChosenOutput:
    """Finds the output that is a reranker's logits, or an encoder's vectors.

    Of an encoder token vectors count before an embedding that the graph has pooled, so that the
    folder's own pooling is what is computed; `pooler_output` is trained for another end and never
    counts.

    Raises:
        ModelError: None of them is it; names all and what is needed. `label` begins the message.
    """
    named = {x.name: x for x in outputs}
    told = ", ".join(map(str, outputs))
    if kind is ModelKind.RERANKER:
        found = named.get(_LOGITS) or (outputs[0] if len(outputs) == 1 else None)
        if found is None or not (found.has_rank(2) or found.has_rank(1)):
            raise ModelError(
                f"{label}: the graph's outputs are {told}; a reranker's is {_LOGITS} "
                "[batch, labels]: export it for the task text-classification"
            )
        return ChosenOutput(found.name, is_pooled=True)
    for name in _TOKEN_VECTORS:
        if name in named and named[name].has_rank(3):
            return ChosenOutput(name, is_pooled=False)
    if _EMBEDDING in named and named[_EMBEDDING].has_rank(2):
        return ChosenOutput(_EMBEDDING, is_pooled=True)
    others = [x for x in outputs if x.name not in (_POOLER, _LOGITS, *_TOKEN_VECTORS)]
    for rank in (3, 2):
        able = [x for x in others if len(x.shape) == rank]
        if len(able) == 1:
            return ChosenOutput(able[0].name, is_pooled=rank == 2)
    raise ModelError(
        f"{label}: the graph's outputs are {told}; an encoder's are {' or '.join(_TOKEN_VECTORS)} "
        f"[batch, tokens, width], or {_EMBEDDING} [batch, width]: export it for the task "
        "feature-extraction"
    )


def load_graph(file: Path) -> onnx.GraphProto:
    """Reads a graph without the large tensors that lie beside it.

    Raises:
        ModelError: It is no ONNX file.
    """
    try:
        return onnx.load(str(file), load_external_data=False).graph
    except Exception as error:  # protobuf's own, which share no base with onnx's
        raise ModelError(f"{file}: not an ONNX file ({error})") from error


def difference_from_first(file: Path) -> str:
    """How an encoder's embeddings differ from those of servers that took the first output.

    Those pooled and normalised token vectors, and stored a pooled output as it came.

    Returns:
        A message; "" where nothing differs.
    """
    try:
        graph = load_graph(file)
        outputs = GraphValue.outputs_of(graph)
        chosen = choose_output(ModelKind.ENCODER, outputs, str(file))
    except ModelError:  # what the engine refuses
        return f"output: none of {file.name} counts"
    first = outputs[0].name
    if first != chosen.name:
        return f"output: {chosen.name}, was read as {first}"
    if chosen.is_pooled and not _is_normalised(graph, first):
        return f"output: {first} normalised, was stored as it came"
    return ""


def _is_normalised(graph: onnx.GraphProto, name: str) -> bool:
    """Whether an output is divided by its L2 norm, as far as the last nodes tell."""
    maker_of = {output: node for node in graph.node for output in node.output}
    last = maker_of.get(name)
    if last is None or last.op_type != "Div":
        return last is not None and last.op_type == "LpNormalization"
    names = [last.input[1]]
    while names:
        maker = maker_of.get(names.pop())
        if maker is not None and maker.op_type == "ReduceL2":
            return True
        if maker is not None and maker.op_type in _BESIDE_A_NORM:
            names += maker.input
    return False
