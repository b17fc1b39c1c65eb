"""Filters, written as Python: `field("year").between(gte=1990) & ~field("draft").exists()`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Value

from twopass.client._values import real, text, texts
from twopass.v1 import filter_pb2
from twopass.v1.filter_pb2 import Filter

Scalar: TypeAlias = str | float | bool | None
"""What a field's value is compared with. 1, "1" and True are three different values."""


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Which documents a request is about. `&`, `|` and `~` join conditions.

    Attributes:
        message: The condition, as the contract has it.
    """

    message: filter_pb2.Condition

    def __and__(self, other: "Condition") -> "Condition":
        return _of_filter(Filter(must=[self.message, other.message]))

    def __or__(self, other: "Condition") -> "Condition":
        return _of_filter(Filter(should=[self.message, other.message]))

    def __invert__(self) -> "Condition":
        return _of_filter(Filter(must_not=[self.message]))

    def __bool__(self) -> bool:
        raise TypeError("a Condition has no truth of its own: join conditions by &, | and ~")


@dataclass(frozen=True, slots=True)
class Field:
    """A metadata field to test; dots in its name reach into nested objects.

    A document without the field passes no test but `is_missing`. A list passes a test if one of its
    elements does.
    """

    name: str

    def equals(self, value: Scalar) -> Condition:
        """The value equals `value`, in type too."""
        return self._tested(filter_pb2.FieldCondition(equals=_value(value, self.name)))

    def is_in(self, values: Iterable[Scalar]) -> Condition:
        """The value equals one of `values`, 1 to 1,000 of them."""
        listed = ListValue(values=[_value(value, self.name) for value in values])
        condition = filter_pb2.FieldCondition(**{"in": listed})  # type: ignore[arg-type]
        return self._tested(condition)

    def between(
        self,
        *,
        gt: float | None = None,
        gte: float | None = None,
        lt: float | None = None,
        lte: float | None = None,
    ) -> Condition:
        """The value is a number within the bounds given; at least one bound is needed."""
        bounds = filter_pb2.Range(
            gt=real(gt, f"{self.name}.gt"),
            gte=real(gte, f"{self.name}.gte"),
            lt=real(lt, f"{self.name}.lt"),
            lte=real(lte, f"{self.name}.lte"),
        )
        return self._tested(filter_pb2.FieldCondition(range=bounds))

    def starts_with(self, prefix: str) -> Condition:
        """The value is a text that begins with `prefix`, case-sensitive."""
        return self._tested(filter_pb2.FieldCondition(prefix=text(prefix, self.name)))

    def exists(self) -> Condition:
        """The document has the field, even if it is null or an empty list."""
        return self._tested(filter_pb2.FieldCondition(exists=True))

    def is_missing(self) -> Condition:
        """The document does not have the field."""
        return self._tested(filter_pb2.FieldCondition(exists=False))

    def _tested(self, condition: filter_pb2.FieldCondition) -> Condition:
        condition.field = text(self.name, "field")
        return Condition(filter_pb2.Condition(field=condition))


def field(name: str) -> Field:
    """A metadata field to test; dots reach into nested objects, as in "author.name"."""
    return Field(name)


def document_ids(ids: Iterable[str]) -> Condition:
    """The document's id is one of `ids`, 1 to 10,000 of them."""
    listed = filter_pb2.IdCondition(ids=texts(ids, "ids"))
    return Condition(filter_pb2.Condition(ids=listed))


def filter_message(wanted: Condition | Filter | None) -> Filter | None:
    """A filter as a message; None stays unset.

    Raises:
        TypeError: `wanted` is neither a Condition nor a Filter.
    """
    if wanted is None or isinstance(wanted, Filter):
        return wanted
    if not isinstance(wanted, Condition):
        raise TypeError(f"filter: a Condition or a Filter needed, {type(wanted).__name__} given")
    if wanted.message.WhichOneof("condition") == "filter":
        return wanted.message.filter
    return Filter(must=[wanted.message])


def _of_filter(wanted: Filter) -> Condition:
    return Condition(filter_pb2.Condition(filter=wanted))


def _value(value: Scalar, where: str) -> Value:
    match value:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case str():
            return Value(string_value=text(value, where))
    return Value(number_value=real(value, where))
