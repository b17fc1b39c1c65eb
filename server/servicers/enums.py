"""Enums of the contract and what they stand for inside the server."""

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar, cast

from google.protobuf.descriptor import EnumDescriptor

from twopass.server.errors import InvalidRequestError

Outer = TypeVar("Outer", bound=int)
Inner = TypeVar("Inner")


class ProtoEnum(Protocol):
    """What protobuf generates for an enum."""

    @property
    def DESCRIPTOR(self) -> EnumDescriptor:  # noqa: N802
        """The enum's name and values."""


class EnumMapping(Generic[Outer, Inner]):
    """Reads and writes one enum; its unspecified value stands for a default."""

    def __init__(self, enum: ProtoEnum, values: Mapping[Outer, Inner], default: Inner) -> None:
        """Maps an enum.

        Args:
            enum: The generated enum, for its names.
            values: What each of its values but 0 stands for.
            default: What 0 stands for.
        """
        self._name = enum.DESCRIPTOR.name
        names = enum.DESCRIPTOR.values_by_number
        self._inner: dict[int, Inner] = {0: default} | dict(values)
        self._allowed = ", ".join(names[value].name for value in sorted(self._inner))
        self._outer = {inner: value for value, inner in values.items()}
        self._outer.setdefault(default, cast("Outer", 0))

    def read(self, field: str, value: int) -> Inner:
        """What a received value stands for.

        Raises:
            InvalidRequestError: The enum has no such value, or requests may not use it.
        """
        if value not in self._inner:
            raise InvalidRequestError(
                f"{field}: {value} given, the values of {self._name} are {self._allowed}",
                value=value,
            )
        return self._inner[value]

    def write(self, inner: Inner) -> Outer:
        """The value for what it stands for; 0 for a default that no other value stands for."""
        return self._outer[inner]
