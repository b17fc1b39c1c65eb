"""Values of Parquet as JSON has them: what becomes of each type.

| type | becomes |
|---|---|
| booleans, integers, text, floats, null | what they are, NaN and infinities too |
| dates, times | ISO 8601: `2024-02-29`, `13:37:00.5` |
| timestamps | ISO 8601 to the last digit: `2024-02-29T13:37:00`; of a time zone in UTC, with `Z` |
| durations | seconds |
| decimals | a number where one of double precision gives the same digits back; otherwise text |
| bytes | text where they are UTF-8; otherwise nothing, which is told once a column |
| lists, structs | lists, objects |
| maps | objects where keys are text; otherwise lists of objects with `key` and `value` |
| dictionaries, extensions | what their values, or their storage, become |

A value that can't be read, such as text that is not UTF-8, leaves its row out, which is told.

Arrow itself turns times into text, since Python's have no nanoseconds.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import pyarrow as pa

from twopass.commands.sources.records import UnreadableError

_Convert: TypeAlias = Callable[[Any], Any]
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MAX_EXACT = 2**63  # beyond it, integers of metadata lose digits


@dataclass(frozen=True, slots=True)
class UnreadValue:
    """A value that can't be read, and so its row.

    Attributes:
        kind: What sort of row it is in, in the plural.
        reason: Its column, and why.
    """

    kind: str
    reason: str


class Columns:
    """The columns of a table, and what had to be left out of them."""

    def __init__(self, schema: pa.Schema) -> None:
        """Chooses what becomes of each column's values.

        Raises:
            UnreadableError: Two columns have one name.
        """
        self._names: list[str] = schema.names
        alike = [name for name, count in Counter(self._names).items() if count > 1]
        if alike:
            raise UnreadableError(
                "files with columns of one name",
                f"several columns are called {alike[0]!r}; rename all but one",
            )
        self._num_left_out: Counter[str] = Counter()
        self._problems: dict[str, str] = {}
        self._is_whole = True  # whether all values of the batch could be read
        self._targets = [(_in_utc(field.type), _as_text(field.type)) for field in schema]
        self._converts = [self._convert(field.type, field.name) for field in schema]

    def rows(self, batch: pa.RecordBatch) -> Iterator[dict[str, Any] | UnreadValue]:
        """The rows of a batch, by the names of columns; of a row that can't be read, its value."""
        columns = [
            self._values(batch.column(place), place, name) for place, name in enumerate(self._names)
        ]
        kept = [
            (name, values)
            for name, values in zip(self._names, columns, strict=True)
            if values is not None
        ]
        names = [name for name, _ in kept]
        if not names:
            yield from ({} for _ in range(batch.num_rows))
            return
        is_whole = self._is_whole
        self._is_whole = True
        for row in zip(*(values for _, values in kept), strict=True):
            if not is_whole:
                unread = next((value for value in row if isinstance(value, UnreadValue)), None)
                if unread is not None:
                    yield unread
                    continue
            yield dict(zip(names, row, strict=True))

    def left_out(self) -> Iterator[tuple[str, str]]:
        """Names of columns and why their values, or some of them, are left out."""
        yield from self._problems.items()
        for name, number in self._num_left_out.items():
            values = "1 value is" if number == 1 else f"{number:,} values are"
            yield name, f"{values} bytes that are not UTF-8 text, and left out"

    def _values(self, column: pa.Array, place: int, name: str) -> list[Any] | None:
        try:
            values = self._read(column, place, name)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            reason = _first_line(error)
            self._problems[name] = f"its type {column.type} can't be read ({reason}): left out"
            return None
        convert = self._converts[place]
        return values if convert is None else [_converted(convert, value) for value in values]

    def _read(self, column: pa.Array, place: int, name: str) -> list[Any]:
        """The values of a column after the casts, and what stands for those that can't be read."""
        try:
            cast = column
            for target in self._targets[place]:
                if cast.type != target:
                    cast = cast.cast(target)
            values: list[Any] = cast.to_pylist()
            return values
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
            raise  # of the type, and so of every value
        except (pa.ArrowException, ValueError, OverflowError) as error:
            if len(column) > 1:
                middle = len(column) // 2
                return [
                    *self._read(column.slice(0, middle), place, name),
                    *self._read(column.slice(middle), place, name),
                ]
            self._is_whole = False
            return [_unread(error, column.type, name)]

    def _convert(self, kind: pa.DataType, name: str) -> _Convert | None:
        """What turns a column's values, after the casts, into JSON's; None: nothing needs to."""
        if pa.types.is_timestamp(kind):
            return _iso
        if pa.types.is_duration(kind):
            units = _UNITS_PER_SECOND[kind.unit]
            return lambda value: value // units if value % units == 0 else value / units
        if pa.types.is_decimal(kind):
            return _number
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or _is_view(kind, "binary"):
            return lambda value: self._text(value, name)
        if pa.types.is_fixed_size_binary(kind):
            return lambda value: self._text(value, name)
        if pa.types.is_dictionary(kind):
            return self._convert(kind.value_type, name)
        if isinstance(kind, pa.BaseExtensionType):
            if kind.extension_name == "arrow.uuid":
                return lambda value: str(UUID(bytes=value))
            return self._convert(kind.storage_type, name)
        if pa.types.is_map(kind):
            return self._convert_map(kind, name)
        if _is_list(kind):
            element = self._convert(kind.value_type, name)
            return element and (lambda values: [_converted(element, value) for value in values])
        if pa.types.is_struct(kind):
            return self._convert_struct(kind, name)
        return None

    def _convert_map(self, kind: pa.MapType, name: str) -> _Convert:
        key = self._convert(kind.key_type, name) or _same
        item = self._convert(kind.item_type, name) or _same
        is_object = pa.types.is_string(kind.key_type) or pa.types.is_large_string(kind.key_type)

        def convert(pairs: list[tuple[Any, Any]]) -> Any:
            changed = [(_converted(key, k), _converted(item, v)) for k, v in pairs]
            return dict(changed) if is_object else [{"key": k, "value": v} for k, v in changed]

        return convert

    def _convert_struct(self, kind: pa.StructType, name: str) -> _Convert | None:
        converts = {field.name: self._convert(field.type, name) for field in kind}
        changed = {key: convert for key, convert in converts.items() if convert is not None}
        if not changed:
            return None

        def convert(value: dict[str, Any]) -> dict[str, Any]:
            return value | {key: _converted(change, value[key]) for key, change in changed.items()}

        return convert

    def _text(self, value: bytes, name: str) -> str | None:
        try:
            return value.decode()
        except UnicodeDecodeError:
            self._num_left_out[name] += 1
            return None


def _unread(error: Exception, kind: pa.DataType, name: str) -> UnreadValue:
    if isinstance(error, UnicodeDecodeError):
        byte = f"0x{error.object[error.start]:02X}"
        reason = f"not UTF-8 (byte {byte}), which text of Parquet is; columns of bytes may be"
        return UnreadValue("rows of other encodings", f"column {name!r}: {reason} anything")
    return UnreadValue(
        "rows with values that can't be read",
        f"column {name!r}: a value of the type {kind} that can't be read ({_first_line(error)})",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _converted(convert: _Convert, value: Any) -> Any:
    return value if value is None or isinstance(value, UnreadValue) else convert(value)


def _same(value: Any) -> Any:
    return value


def _iso(value: str) -> str:
    return value.replace(" ", "T", 1)


def _number(value: Decimal) -> int | float | str:
    if value == value.to_integral_value() and abs(value) < _MAX_EXACT:
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _is_view(kind: pa.DataType, of: str) -> bool:
    is_view = getattr(pa.types, f"is_{of}_view", None)  # since pyarrow 16
    return bool(is_view and is_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or _is_view(kind, "list")
        or _is_view(kind, "large_list")
    )


def _in_utc(kind: pa.DataType) -> pa.DataType:
    """The type with all timestamps that have a time zone in UTC."""

    def change(leaf: pa.DataType) -> pa.DataType:
        is_zoned = pa.types.is_timestamp(leaf) and leaf.tz is not None
        return pa.timestamp(leaf.unit, "UTC") if is_zoned else leaf

    return _with_leaves(kind, change)


def _as_text(kind: pa.DataType) -> pa.DataType:
    """The type with text for all times, and integers for durations, which lack nothing then."""

    def change(leaf: pa.DataType) -> pa.DataType:
        if pa.types.is_duration(leaf):
            return pa.int64()
        if pa.types.is_temporal(leaf) and not pa.types.is_interval(leaf):
            return pa.string()
        return leaf

    return _with_leaves(_in_utc(kind), change)


def _with_leaves(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """A type in which the innermost types are changed."""
    if isinstance(kind, pa.BaseExtensionType):
        return _with_leaves(kind.storage_type, change)
    if pa.types.is_dictionary(kind):
        return _with_leaves(kind.value_type, change)
    if pa.types.is_map(kind):
        return pa.map_(_with_leaves(kind.key_type, change), _with_leaves(kind.item_type, change))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_with_leaves(kind.value_type, change), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(_with_leaves(kind.value_type, change))
    if _is_list(kind):
        return pa.list_(_with_leaves(kind.value_type, change))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_with_leaves(field.type, change)) for field in kind])
    return change(kind)
