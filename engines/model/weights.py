"""Reads the weights of a BERT-family encoder from safetensors, whatever its export calls them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from twopass.engines.errors import ModelError

# What exports put before the encoder's names.
_PREFIXES = ("", "bert.", "roberta.", "model.")


class BertWeights:
    """Tensors by the names they have in `BertModel`, float32, read as they are asked for."""

    def __init__(self, file: Path) -> None:
        """Opens the file.

        Raises:
            ModelError: It is no safetensors file, or holds no BERT-family encoder.
        """
        try:
            opened: Any = safe_open(str(file), framework="numpy")
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file}: not a safetensors file ({error})") from error
        self._tensors = opened
        self._file = file
        self._names: frozenset[str] = frozenset(self._tensors.keys())
        probe = "embeddings.word_embeddings.weight"
        prefix = next((p for p in _PREFIXES if p + probe in self._names), None)
        if prefix is None:
            raise ModelError(f"{file}: no tensor {probe}; not a BERT-family encoder")
        self._prefix = prefix

    def __contains__(self, name: str) -> bool:
        """Whether there is a tensor of this name, with or without the export's prefix."""
        return name in self._names or self._prefix + name in self._names

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """One tensor.

        Raises:
            ModelError: It is not there.
        """
        full = self._prefix + name if self._prefix + name in self._names else name
        if full not in self._names:
            raise ModelError(f"{self._file}: tensor {self._prefix + name} is missing")
        tensor: NDArray[np.float32] = self._tensors.get_tensor(full).astype(np.float32)
        return tensor
