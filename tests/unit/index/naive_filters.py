"""What filters mean, said in plain Python over one document at a time."""

from twopass.index.filters import (
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    OneOf,
    StartsWith,
)

_MISSING = object()


def passes(document_id: str, metadata: dict, wanted: Filter) -> bool:
    """Whether a document passes a filter."""

    def holds(condition) -> bool:
        match condition:
            case FieldCondition(field, test):
                return _field_passes(_reach(metadata, field.split(".")), test)
            case IdCondition(ids):
                return document_id in ids
            case Filter():
                return passes(document_id, metadata, condition)

    return (
        all(map(holds, wanted.must))
        and (not wanted.should or any(map(holds, wanted.should)))
        and not any(map(holds, wanted.must_not))
    )


def _reach(value, parts):
    for part in parts:
        if not isinstance(value, dict) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _field_passes(value, test) -> bool:
    match test:
        case Exists():
            return value is not _MISSING
        case IsMissing():
            return value is _MISSING
    values = value if isinstance(value, list) else [value]
    return any(_value_passes(value, test) for value in values)


def _value_passes(value, test) -> bool:
    match test:
        case OneOf(wanted):
            return any(_kind(value) == _kind(one) and value == one for one in wanted)
        case StartsWith(prefix):
            return isinstance(value, str) and value.startswith(prefix)
        case InRange():
            return _kind(value) == "number" and (
                (test.gt is None or value > test.gt)
                and (test.gte is None or value >= test.gte)
                and (test.lt is None or value < test.lt)
                and (test.lte is None or value <= test.lte)
            )


def _kind(value) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__
