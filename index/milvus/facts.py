"""What documents' metadata says, in the form in which Milvus can be asked for it.

Milvus' JSON paths reach no object inside a list, know no comparison with any element of a list, and
have a third truth value where a path leads nowhere, other in each version. So what filters can ask
is computed when a document is written, and stored in two fields beside its metadata:

`facts`, an array of texts, which a document has or has not::

    year?                the field `year` is there
    year=n40a3...        a value of it is this number; likewise t, m and h: a text, the moment that
                         a text tells, the digest of a long text
    year=N year=T year=F a value is null, true, false
    year:n1 year:n2      it has one number at least, two at least; likewise t and m
    year:n+              it has more numbers than are ordered

`ordered`, a JSON object, holds of each field up to 16 numbers, texts and moments to compare with:
`year:n1` is the greatest number, `year:n2` the least, `year:n3` and on are the others, ascending.
Numbers are texts here that sort as they do, so that integers of 64 bits and floating-point numbers
compare exactly. A key of `ordered` is there where the fact of the same name is.
"""

import hashlib
import json
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twopass.index.milvus.times import sortable_of_text

MAX_ORDERED = 16
"""Numbers, texts or moments of one field of one document that intervals see each of."""
MAX_COMPARED = 255
"""Longest text, in code points, that an interval of texts may begin or end with."""
MAX_FACT_BYTES = 512

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Facts:
    """What one document's metadata says.

    Attributes:
        facts: Distinct texts, sorted.
        ordered: Values to compare with.
    """

    facts: list[str]
    ordered: dict[str, str]


def field_key(keys: Sequence[str]) -> str:
    """What stands for a field in facts, given its keys: its name where that is plain."""
    if all("." not in key for key in keys):
        name = ".".join(keys)
        if _PLAIN_NAME.fullmatch(name):
            return name
    return f"#{_digest(json.dumps(list(keys)))}"


def fact_exists(key: str) -> str:
    """The fact that a field is there, be it null or an empty list."""
    return f"{key}?"


def fact_equals(key: str, value: str | int | float | bool | None) -> str:
    """The fact that a value of a field is this one."""
    match value:
        case None:
            return f"{key}=N"
        case bool():
            return f"{key}={'T' if value else 'F'}"
        case str():
            fact = f"{key}=t{value}"
            if len(fact.encode()) <= MAX_FACT_BYTES:
                return fact
            return f"{key}=h{_digest(value)}"
    return f"{key}=n{sortable_number(value)}"


def fact_moment(key: str, moment: str) -> str:
    """The fact that a value of a field tells the moment of a sortable text."""
    fact = f"{key}=m{moment}"  # a fraction of a second may have any number of digits
    return fact if len(fact) <= MAX_FACT_BYTES else f"{key}=h{_digest(moment)}m"


def name_ordered(key: str, kind: str, number: int) -> str:
    """The name of one of a field's ordered values, and the fact that it is there.

    Args:
        key: The field's.
        kind: "n" for numbers, "t" for texts, "m" for moments.
        number: From 1; 1 is the greatest, 2 the least.
    """
    return f"{key}:{kind}{number}"


def fact_more(key: str, kind: str) -> str:
    """The fact that a field has more values of a kind than are ordered."""
    return f"{key}:{kind}+"


def facts_of(metadata: Mapping[str, Any]) -> Facts:
    """What a document's metadata says."""
    facts: set[str] = set()
    ordered: dict[str, str] = {}
    for keys, values in _values_by_field(metadata).items():
        key = field_key(keys)
        facts.add(fact_exists(key))
        numbers: set[str] = set()
        texts: set[str] = set()
        moments: set[str] = set()
        for value in values:
            facts.add(fact_equals(key, value))
            if isinstance(value, str):
                # No text that it is compared with is longer, so what is cut changes no comparison.
                texts.add(value[: MAX_COMPARED + 1])
                if (moment := sortable_of_text(value)) is not None:
                    moments.add(moment)
                    facts.add(fact_moment(key, moment))
            elif isinstance(value, int | float) and not isinstance(value, bool):
                numbers.add(sortable_number(value))
        for kind, found in (("n", numbers), ("t", texts), ("m", moments)):
            if len(found) > MAX_ORDERED:
                facts.add(fact_more(key, kind))
            for number, value in enumerate(_some_ordered(found), 1):
                name = name_ordered(key, kind, number)
                facts.add(name)
                ordered[name] = value
    return Facts(sorted(facts), ordered)


def values_of(metadata: Mapping[str, Any], keys: Sequence[str]) -> list[Any] | None:
    """The values that a field has in a document, as filters see them; None: it is not there.

    Elements of a list are values; objects, and lists inside lists, are none.
    """
    return _values_by_field(metadata).get(tuple(keys))


def sortable_number(number: int | float) -> str:
    """A number as a text: of two such texts the lesser by code points is the lesser number.

    The bits of the greatest float64 that is not greater, and what an integer has beyond it.
    """
    try:
        floor = float(number)
    except OverflowError:  # an integer beyond all of float64
        floor = math.inf if number > 0 else -math.inf
    beyond = 0
    if isinstance(number, int) and math.isfinite(floor):
        if int(floor) > number:
            floor = math.nextafter(floor, -math.inf)
        beyond = number - int(floor)
    (bits,) = struct.unpack(">Q", struct.pack(">d", floor + 0.0))  # of both zeros, one
    bits = ~bits & 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63
    return f"{bits:016x}{beyond:03x}"


def _some_ordered(found: set[str]) -> list[str]:
    """The greatest, the least, and the others in order, as many as may be."""
    ascending = sorted(found)
    if len(ascending) < 2:
        return ascending
    return [ascending[-1], ascending[0], *ascending[1:-1]][:MAX_ORDERED]


def _values_by_field(metadata: Mapping[str, Any]) -> dict[tuple[str, ...], list[Any]]:
    values: dict[tuple[str, ...], list[Any]] = {}
    for keys, value in _reached(metadata, ()):
        found = values.setdefault(keys, [])
        for each in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(each, list | tuple | Mapping):
                found.append(each)
    return values


def _reached(
    holder: Mapping[str, Any], before: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All fields of an object and of the objects in it and in its lists, lists unopened."""
    for key, value in holder.items():
        keys = (*before, key)
        yield keys, value
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Mapping):
                yield from _reached(each, keys)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
