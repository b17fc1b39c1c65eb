"""Reads the weights of a BERT-family encoder from safetensors, whatever its export calls them.

The one reader of weights: every engine gets them from here, the C++ core as they are stored, the
others in float32.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from twopass.engines.errors import ModelError

# What exports put before the encoder's names.
_PREFIXES = ("", "bert.", "roberta.", "model.")
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


class BertWeights:
    """The tensors of a file by the names they have in `BertModel`.

    The file is mapped, not read: a tensor costs memory when it is used. It must not be shortened
    while weights are read from it; replacing it by another file is harmless.

    Attributes:
        stored: All tensors of the file as they are stored.
    """

    def __init__(self, file: Path) -> None:
        """Opens the file.

        Raises:
            ModelError: It is not a safetensors file, or holds no BERT-family encoder.
        """
        tensors = _mapped_tensors(file)
        probe = "embeddings.word_embeddings.weight"
        prefix = next((p for p in _PREFIXES if p + probe in tensors), None)
        if prefix is None:
            raise ModelError(f"{file}: no tensor {probe}; not a BERT-family encoder")
        self._file = file
        self._prefix = prefix
        # A classifier's tensors have no prefix. Where a name is there in both forms, the prefixed
        # tensor counts.
        prefixed = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        self.stored: Mapping[str, StoredTensor] = tensors | prefixed

    def __contains__(self, name: str) -> bool:
        """Whether there is a tensor of this name, with or without the export's prefix."""
        return name in self.stored

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """One tensor in float32, a copy.

        Raises:
            ModelError: It is not there, or not of float32, float16 or bfloat16.
        """
        if name not in self.stored:
            raise ModelError(f"{self._file}: tensor {self._prefix + name} is missing")
        dtype, shape, content = self.stored[name]
        if dtype == "BF16":  # the upper half of a float32
            widened = content.view("<u2").astype(np.uint32) << np.uint32(16)
            return widened.view(np.float32).reshape(shape)
        if dtype not in ("F32", "F16"):
            raise ModelError(
                f"{self._file}: tensor {self._prefix + name} is {dtype}, not float32, float16 or "
                "bfloat16"
            )
        elements = content.view("<f4" if dtype == "F32" else "<f2")
        return elements.astype(np.float32).reshape(shape)


def _mapped_tensors(file: Path) -> dict[str, StoredTensor]:
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
