"""Filters, written as Python: `(field("year") >= 1990) & ~field("draft").exists()`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from twopass.client._literals import Bound, Scalar, equality, interval, membership
from twopass.client._values import text, texts
from twopass.client.errors import InvalidArgumentError
from twopass.v1 import filter_pb2
from twopass.v1.filter_pb2 import Filter

# The contract's; protobuf itself reads no message that is nested a hundred deep.
_MAX_DEPTH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Which documents a request is about. `&`, `|` and `~` join conditions.

    Conditions joined by one operator stand side by side, however many they are: only a change of
    operators nests them, at most 16 deep.

    Attributes:
        message: The condition, as the contract has it.
    """

    message: filter_pb2.Condition

    def __and__(self, other: "Condition") -> "Condition":
        must: list[filter_pb2.Condition] = []
        must_not: list[filter_pb2.Condition] = []
        for condition in (self, other):
            filter_ = _filter_in(condition)
            if filter_ is None or filter_.should:
                must.append(condition.message)
            else:
                must += filter_.must
                must_not += filter_.must_not
        return _of_filter(Filter(must=must, must_not=must_not))

    def __or__(self, other: "Condition") -> "Condition":
        should: list[filter_pb2.Condition] = []
        for condition in (self, other):
            filter_ = _filter_in(condition)
            if filter_ is not None and filter_.should and not (filter_.must or filter_.must_not):
                should += filter_.should
            else:
                should.append(condition.message)
        return _of_filter(Filter(should=should))

    def __invert__(self) -> "Condition":
        filter_ = _filter_in(self)
        if filter_ is None:
            return _of_filter(Filter(must_not=[self.message]))
        match bool(filter_.must), bool(filter_.should), list(filter_.must_not):
            case False, False, [inner]:
                return Condition(inner)
            case False, False, [_, *_]:
                return _of_filter(Filter(should=filter_.must_not))
            case False, True, []:
                return _of_filter(Filter(must_not=filter_.should))
        return _of_filter(Filter(must_not=[self.message]))

    def __bool__(self) -> bool:
        raise TypeError("a Condition has no truth of its own: join conditions by &, | and ~")


@dataclass(frozen=True, slots=True)
class Field:
    """A metadata field to test, by methods or by `>=`, `>`, `<=` and `<`.

    A document without the field passes no test but `is_missing`. A list passes a test if one of its
    elements does.

    Attributes:
        name: Dots reach into nested objects and into the objects of lists. A part that begins with
            a double quote is a JSON string, which may hold dots, as in `"a.b".c`.
    """

    name: str

    def __getitem__(self, key: str) -> "Field":
        """The field of that key, which may hold dots, in the object or the objects of this one."""
        plain = key and "." not in key and not key.startswith('"')
        return Field(f"{self.name}.{key if plain else json.dumps(key, ensure_ascii=False)}")

    def equals(self, value: Scalar) -> Condition:
        """The value equals `value`, in type too; a date is any time of its day."""
        return self._tested(equality(value, self.name))

    def is_in(self, values: Iterable[Scalar]) -> Condition:
        """The value equals one of `values`, 1 to 1,000 of them."""
        return self._tested(membership(values, self.name))

    def between(
        self,
        least: Bound | None = None,
        greatest: Bound | None = None,
        /,
        *,
        gt: Bound | None = None,
        gte: Bound | None = None,
        lt: Bound | None = None,
        lte: Bound | None = None,
    ) -> Condition:
        """The value lies within the bounds given, at least one, all of one kind.

        Args:
            least: As `gte`.
            greatest: As `lte`.
            gt: Greater than.
            gte: Greater than or equal.
            lt: Less than.
            lte: Less than or equal.

        Raises:
            InvalidArgumentError: A bound is an integer beyond 64 bits, or holds a lone surrogate.
            TypeError: There is no bound, one is given twice, or they are not of one kind.
        """
        for first, second, names in ((least, gte, "least, gte"), (greatest, lte, "greatest, lte")):
            if first is not None and second is not None:
                raise TypeError(f"{self.name}: {names}: both given, which are the same bound")
        lower, upper = least if gte is None else gte, greatest if lte is None else lte
        bounds = {"gt": gt, "gte": lower, "lt": lt, "lte": upper}
        return self._tested(interval(bounds, self.name))

    def before(self, bound: Bound) -> Condition:
        """The value is less than `bound`: earlier than a datetime, or than a date's day."""
        return self.between(lt=bound)

    def after(self, bound: Bound) -> Condition:
        """The value is greater than `bound`: later than a datetime, or than a date's day."""
        return self.between(gt=bound)

    def __lt__(self, bound: Bound) -> Condition:
        return self.between(lt=bound)

    def __le__(self, bound: Bound) -> Condition:
        return self.between(lte=bound)

    def __gt__(self, bound: Bound) -> Condition:
        return self.between(gt=bound)

    def __ge__(self, bound: Bound) -> Condition:
        return self.between(gte=bound)

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
        InvalidArgumentError: The filter is nested too deeply.
        TypeError: `wanted` is neither a Condition nor a Filter.
    """
    if wanted is None:
        return None
    if isinstance(wanted, Filter):
        _check_depth(wanted)
        return wanted
    if not isinstance(wanted, Condition):
        raise TypeError(f"filter: a Condition or a Filter needed, {type(wanted).__name__} given")
    return _filter_in(wanted) or Filter(must=[wanted.message])


def _filter_in(condition: Condition) -> Filter | None:
    """The filter that a condition is; None for a test of a field or of the id."""
    if condition.message.WhichOneof("condition") != "filter":
        return None
    filter_ = condition.message.filter
    _check_depth(filter_)
    return filter_


def _of_filter(wanted: Filter) -> Condition:
    _check_depth(wanted)
    return Condition(filter_pb2.Condition(filter=wanted))


def _check_depth(wanted: Filter) -> None:
    """Refuses what the server would, before protobuf fails to copy it.

    Raises:
        InvalidArgumentError: Filters are nested too deeply.
    """
    level = [wanted]
    for _ in range(_MAX_DEPTH):
        level = [
            condition.filter
            for filter_ in level
            for conditions in (filter_.must, filter_.should, filter_.must_not)
            for condition in conditions
            if condition.HasField("filter")
        ]
        if not level:
            return
    raise InvalidArgumentError(
        f"filter: nested over {_MAX_DEPTH} deep; conditions joined by one operator stand side by "
        "side, so join them in groups, and test a field against many values by is_in",
        metadata={"field": "filter"},
    )
