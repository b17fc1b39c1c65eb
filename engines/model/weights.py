"""Reads the weights of an encoder from safetensors, whatever its family and its export call them.

The one reader of weights: every engine gets them from here, the C++ core as they are stored, the
others in float32.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from twopass.engines.errors import ModelError
from twopass.engines.model.families import family_of, jina, mpnet
from twopass.engines.model.families.family import Source

_LENGTH_BYTES = 8


class StoredTensor(NamedTuple):
    """A tensor as its file stores it.

    Attributes:
        dtype: In the words of safetensors: "F32", "F16", "BF16", "I64", ….
        shape: Sizes, outermost first.
        content: Its bytes, row-major and little-endian, uint8 `[num_bytes]`: a view of the mapped
            file, which may lie at any address.
    """

    dtype: str
    shape: tuple[int, ...]
    content: NDArray[np.uint8]


class ModelWeights(Mapping[str, StoredTensor]):
    """The tensors of an encoder by their canonical names, as they are stored.

    The names, for every family, are these with `.weight` and `.bias`, where `N` counts layers:

        embeddings.words  embeddings.positions  embeddings.types   tables, without bias
        embeddings.norm  embeddings.projection
        layers.N.attention.query, .key, .value, .output   layers.N.attention_norm
        layers.N.mlp.up, .gate, .down                     layers.N.mlp_norm
        final_norm   head.dense   head.norm   head.projection   embedding.dense.N
        relative.embeddings   relative.norm   convolution   convolution_norm
        layers.N.attention.position_key, .position_query

    and `relative_bias`, float32 `[num_heads, 2 * distance + 1]`: what a key at `j` adds to the
    score of a query at `i` is in column `clip(j - i, -distance, distance) + distance`. Weights
    are `[out, in]`. What an architecture does not have is not there, but a bias that a family
    leaves out is, as zeros, so that engines know one form.

    Files are mapped, not read: a tensor costs memory when it is used. They must not be shortened
    while weights are read from them; replacing them by others is harmless.
    """

    def __init__(
        self,
        files: Sequence[Path],
        config: Mapping[str, Any],
        *,
        dense: Sequence[Path] = (),
        relevant_label: int | None = None,
    ) -> None:
        """Opens the files.

        Args:
            files: All shards of the model.
            config: Its `config.json`.
            dense: The file of each Dense module after the pooling, as sentence-transformers
                writes it: `linear.weight` and `linear.bias`, if it has one.
            relevant_label: Which row of a projection to two labels is that of relevant pairs; the
                projection given is then that of the difference, with one row. None leaves it.

        Raises:
            UnsupportedModelError: The configuration describes no encoder of ours.
            ModelError: A file is not of safetensors, or they hold no such encoder.
        """
        family = family_of(config)
        self._where = files[0] if len(files) == 1 else files[0].parent
        tensors: dict[str, StoredTensor] = {}
        for file in files:
            tensors |= stored_tensors(file)
        self._stored = _without_prefix(tensors, family.words, self._where)
        self._tensors: dict[str, StoredTensor] = {}
        for name, source in family.sources(config, self._stored).items():
            self._add(name, source)
        if family.relative_bias is not None:
            table = self._as_float32(family.relative_bias)
            self._tensors["relative_bias"] = _stored(_bucket_biases(table))
        elif family is jina.FAMILY:
            architecture = family.read(config)
            biases = _alibi(architecture.num_heads, architecture.max_seq_len)
            self._tensors["relative_bias"] = _stored(biases)
        for n, file in enumerate(dense):
            name = f"embedding.dense.{n}"
            self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"] = _dense(file)
        if relevant_label is not None:
            for part in ("weight", "bias"):
                self._subtract_other_label(f"head.projection.{part}", relevant_label)

    def __getitem__(self, name: str) -> StoredTensor:
        """One tensor as it is stored.

        Raises:
            ModelError: It is not there.
        """
        if name not in self._tensors:
            raise ModelError(f"{self._where}: the tensor of {name} is missing")
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        """The names there are."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """How many tensors there are."""
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        """Whether there is a tensor of this name."""
        return name in self._tensors

    def float32(self, name: str) -> NDArray[np.float32]:
        """One tensor in float32, a copy.

        Raises:
            ModelError: It is not there, or not of float32, float16 or bfloat16.
        """
        return _float32(self[name], f"{self._where}: the tensor of {name}")

    def _as_float32(self, name: str) -> NDArray[np.float32]:
        if name not in self._stored:
            raise ModelError(f"{self._where}: tensor {name} is missing")
        return _float32(self._stored[name], f"{self._where}: tensor {name}")

    def _add(self, name: str, source: Source) -> None:
        """Takes a module's weight and bias, or its block of them; leaves out what is not there."""
        weight = self._stored.get(f"{source.name}.weight")
        if weight is None:
            return
        self._tensors[f"{name}.weight"] = self._block(weight, source, f"{source.name}.weight")
        if name in _TABLES:
            return
        bias = self._stored.get(f"{source.name}.bias")
        if bias is not None:
            self._tensors[f"{name}.bias"] = self._block(bias, source, f"{source.name}.bias")
        elif not source.bias:
            width = self._tensors[f"{name}.weight"].shape[0]
            self._tensors[f"{name}.bias"] = _stored(np.zeros(width, np.float32))

    def _subtract_other_label(self, name: str, relevant: int) -> None:
        rows = self.float32(name)
        if len(rows) != 2:
            raise ModelError(f"{self._where}: the tensor of {name} has {len(rows)} rows, not 2")
        self._tensors[name] = _stored(rows[relevant : relevant + 1] - rows[1 - relevant, None])

    def _block(self, tensor: StoredTensor, source: Source, name: str) -> StoredTensor:
        """A block of rows, a view."""
        rows, parts = tensor.shape[0] if tensor.shape else 0, source.parts
        if parts == 1:
            return tensor
        if rows == 0 or rows % parts:
            raise ModelError(
                f"{self._where}: tensor {name} has {rows} rows, {parts} equal blocks are needed"
            )
        num_bytes = len(tensor.content) // parts
        content = tensor.content[source.part * num_bytes : (source.part + 1) * num_bytes]
        return StoredTensor(tensor.dtype, (rows // parts, *tensor.shape[1:]), content)


def dense_tensors(file: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a Dense module, whatever the family of the encoder before it.

    Raises:
        ModelError: The file is damaged, or not a Dense module's.
    """
    weight, bias = _dense(file)
    return _float32(weight, f"{file}: linear.weight"), _float32(bias, f"{file}: linear.bias")


def _dense(file: Path) -> tuple[StoredTensor, StoredTensor]:
    tensors = stored_tensors(file)
    if "linear.weight" not in tensors:
        raise ModelError(f"{file}: no tensor linear.weight; not a Dense module's file")
    weight = tensors["linear.weight"]
    zeros = np.zeros(weight.shape[0], np.float32)
    return weight, tensors.get("linear.bias") or _stored(zeros)


_TABLES = ("embeddings.words", "embeddings.positions", "embeddings.types")


def _without_prefix(
    tensors: Mapping[str, StoredTensor], words: str, where: Path
) -> dict[str, StoredTensor]:
    """The tensors without what an export puts before the encoder's names ("bert.", "model.", …).

    A classifier's have no prefix. Where a name is there in both forms, the prefixed tensor counts.
    """
    probe = f"{words}.weight"
    found = [name for name in tensors if name == probe or name.endswith(f".{probe}")]
    if not found:
        raise ModelError(f"{where}: no tensor {probe}; not the encoder that config.json describes")
    prefix = min(found, key=len).removesuffix(probe)
    encoder = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    return dict(tensors) | encoder


def _bucket_biases(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """MPNet's biases by distance, from those by bucket `[num_buckets, num_heads]`."""
    distances = range(-mpnet.MAX_DISTANCE, mpnet.MAX_DISTANCE + 1)
    return np.ascontiguousarray(table[[mpnet.bucket(d) for d in distances]].T)


def _alibi(num_heads: int, max_seq_len: int) -> NDArray[np.float32]:
    distances = np.abs(np.arange(1 - max_seq_len, max_seq_len, dtype=np.float32))
    return -np.outer(np.array(jina.slopes(num_heads), np.float32), distances)


def _stored(array: NDArray[np.float32]) -> StoredTensor:
    content = np.ascontiguousarray(array, "<f4").reshape(-1).view(np.uint8)
    return StoredTensor("F32", array.shape, content)


def _float32(tensor: StoredTensor, label: str) -> NDArray[np.float32]:
    dtype, shape, content = tensor
    if dtype == "BF16":  # the upper half of a float32
        widened = content.view("<u2").astype(np.uint32) << np.uint32(16)
        return widened.view(np.float32).reshape(shape)
    if dtype not in ("F32", "F16"):
        raise ModelError(f"{label} is {dtype}, not float32, float16 or bfloat16")
    elements = content.view("<f4" if dtype == "F32" else "<f2")
    return elements.astype(np.float32).reshape(shape)


def dense_module(file: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a Dense module, in float32, for engines that have no other weights.

    Raises:
        ModelError: It is no such module's file.
    """
    weight, bias = _dense_module(file)
    return _float32(weight, f"{file}: linear.weight"), _float32(bias, f"{file}: linear.bias")


def _dense_module(file: Path) -> tuple[StoredTensor, StoredTensor]:
    tensors = stored_tensors(file)
    if "linear.weight" not in tensors:
        raise ModelError(f"{file}: no tensor linear.weight; not a Dense module's file")
    weight = tensors["linear.weight"]
    zeros = np.zeros(weight.shape[0], np.float32)
    return weight, tensors.get("linear.bias") or _stored(zeros)


def stored_tensors(file: Path) -> dict[str, StoredTensor]:
    """Every tensor of a safetensors file: eight bytes of length, a header in JSON, the tensors."""
    try:
        with safe_open(str(file), framework="numpy"):
            pass  # opening checks the header, and that tensors fit their sizes and fill the file
        mapped = np.asarray(np.memmap(file, np.uint8, mode="r"))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file}: not a safetensors file ({error})") from error
    begin = _LENGTH_BYTES + int.from_bytes(mapped[:_LENGTH_BYTES].tobytes(), "little")
    header = json.loads(mapped[_LENGTH_BYTES:begin].tobytes())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        content = mapped[begin + first : begin + end]
        tensors[name] = StoredTensor(entry["dtype"], tuple(entry["shape"]), content)
    return tensors
