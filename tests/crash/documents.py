"""Documents whose every byte follows from their id and version, so that a mixed-up one shows."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from twopass.client import Document

DIMENSION = 16
_LETTERS = "bcdfghjkmpqvwxz"


def document(name: str, version: int, *, has_vector: bool = True) -> Document:
    """The document of that id and version, as it is sent."""
    return Document(
        id=name,
        title=f"title of {name}",
        text=text_of(name, version),
        metadata={"version": version},
        vector=vector_of(name, version).tolist() if has_vector else None,
    )


def text_of(name: str, version: int) -> str:
    """Up to 3,000 characters: some texts share a page of SQLite, some fill several."""
    said = f"{name} version {version} {word_of(name, version)} "
    return said * (1 + version * 7_919 % (3_000 // len(said)))


def word_of(name: str, version: int) -> str:
    """A word that no other document and no other version has.

    Twelve letters without a vowel or an ending of any language: no analysis cuts or stems it.
    """
    digest = hashlib.blake2b(f"{name} {version}".encode(), digest_size=12).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)


def vector_of(name: str, version: int) -> NDArray[np.float32]:
    """A random direction, float32 `[DIMENSION]`, of norm 1."""
    drawn = np.random.default_rng([version, *name.encode()]).standard_normal(DIMENSION)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)
