"""What ONNX graphs are written with: nodes and constants under fresh names, named after parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twopass.engines.model.architecture import Activation
from twopass.engines.model.weights import ModelWeights

# 20 brought Gelu; 17 LayerNormalization.
_OPSET = 20


class ComputeType(Enum):
    """Type of weights and products."""

    F32 = np.float32
    F16 = np.float16


class GraphWriter:
    """Collects nodes and initialisers under fresh names; a node's begins with its part's.

    Attributes:
        compute: Type of the products.
        weights: Of the model.
    """

    def __init__(self, compute: ComputeType, weights: ModelWeights) -> None:
        self.compute = compute
        self.weights = weights
        self._part = ""
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Names what is written inside after a part of the model."""
        self._part = f"{name}/"
        yield
        self._part = ""

    def constant(self, value: NDArray[np.generic] | np.generic, name: str = "constant") -> str:
        """Adds an initialiser."""
        name = f"{name}_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def computed(self, value: NDArray[np.float32], name: str = "constant") -> str:
        """Adds an initialiser of the compute type."""
        return self.constant(value.astype(self.compute.value), name)

    def ints(self, *values: int) -> str:
        """Adds an int64 vector."""
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node of one output and returns its name."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node of several outputs and returns their names; the first is the node's."""
        name = f"{self._part}{kind}_{len(self._nodes)}"
        outputs = [name, *(f"{name}.{n}" for n in range(1, count))]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, name, **attributes))
        return outputs

    def compute_cast(self, x: str) -> str:
        """A float32 value in the compute type."""
        if self.compute is ComputeType.F32:
            return x
        return self.op("Cast", x, to=TensorProto.FLOAT16)

    def float_cast(self, x: str) -> str:
        """A value of the compute type in float32."""
        if self.compute is ComputeType.F32:
            return x
        return self.op("Cast", x, to=TensorProto.FLOAT)

    def dense(self, x: str, module: str) -> str:
        """`x @ weight.T + bias` of a module, in the compute type."""
        weight = self.weights.float32(f"{module}.weight").T
        product = self.op("MatMul", x, self.computed(weight, "weight"))
        return self.op(
            "Add", product, self.computed(self.weights.float32(f"{module}.bias"), "bias")
        )

    def dense_in_float(self, x: str, module: str) -> str:
        """The same of a float32 matrix `[num_rows, in]`, in float32."""
        weight = self.constant(self.weights.float32(f"{module}.weight"))
        bias = self.constant(self.weights.float32(f"{module}.bias"))
        return self.op("Gemm", x, weight, bias, transB=1)

    def layer_norm(self, x: str, module: str, epsilon: float) -> str:
        """LayerNorm over the last axis, in float32."""
        weight = self.constant(self.weights.float32(f"{module}.weight"))
        bias = self.constant(self.weights.float32(f"{module}.bias"))
        return self.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=epsilon)

    def activation(self, x: str, activation: Activation) -> str:
        """An activation of every component, in the type of `x`."""
        match activation:
            case Activation.GELU:
                return self.op("Gelu", x, approximate="none")
            case Activation.GELU_TANH:
                return self.op("Gelu", x, approximate="tanh")
            case Activation.RELU:
                return self.op("Relu", x)
            case Activation.SILU:
                return self.op("Mul", x, self.op("Sigmoid", x))
            case Activation.TANH:
                return self.op("Tanh", x)

    def close(self, result: str, output: str, shape: list[str | int]) -> onnx.ModelProto:
        """The graph: its inputs, and `result` under the name `output`."""
        self._nodes.append(helper.make_node("Identity", [result], [output]))

        def ints(name: str, *dims: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.INT32, list(dims))

        graph = helper.make_graph(
            self._nodes,
            "twopass",
            [
                ints("input_ids", "batch_size", "seq_len"),
                ints("lengths", "batch_size"),
                ints("query_lengths", "batch_size"),
            ],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self._initializers,
        )
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(
            graph, opset_imports=[opset], ir_version=10, producer_name="twopass"
        )
