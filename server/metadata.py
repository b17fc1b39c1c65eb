"""What a call carries beside its message."""

from collections.abc import Sequence
from typing import TypeAlias

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
"""Pairs of a key and a value, as gRPC has them: bytes for keys that end in -bin."""
