"""Collections and their facets, as people read them."""

import dataclasses
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from twopass.client import (
    Collection,
    ConvexFusion,
    Document,
    Facet,
    ReciprocalRankFusion,
    Schema,
    SearchDefaults,
)
from twopass.commands.terminal.sentences import counted, say, say_beside
from twopass.commands.terminal.tables import Table, figures, names, print_table, texts

# As many documents tell which metadata fields a collection has.
_SAMPLED = 100
# Of a revision's 64 digits, as many as messages tell.
_REVISION_DIGITS = 12

_LONG_PASSAGES = {
    "truncate": "long passages read from the beginning",
    "max_window": "long passages read in windows",
    "reject": "long passages refused",
}
_LONG_QUERIES = {
    "truncate": "long questions read from the beginning",
    "reject": "long questions refused",
}


def print_collections(collections: Sequence[Collection]) -> None:
    """Prints a line for each collection, and below them what is wrong with any."""
    if not collections:
        say_beside("no collection yet; one is made by: twopass index NAME FILES...")
        return
    table = Table(
        [
            *names("collection", "aliases"),
            *figures("documents"),
            *names("encoder", "created, UTC"),
        ],
        num_names=1,
    )
    for each in collections:
        table.add(
            each.name,
            ", ".join(each.aliases),
            f"{each.num_documents:,}",
            "none" if each.schema.client_vectors else each.schema.encoder,
            f"{each.create_time:%Y-%m-%d %H:%M}",
        )
    print_table(table)
    for each in collections:
        for problem in (
            each.read_only_reason,
            each.encoder_problem,
            each.search_defaults_problem,
        ):
            if problem:
                say(f"{each.name}: {problem}")


def print_collection(collection: Collection, documents: Iterable[Document]) -> None:
    """Prints all that is known of a collection, a subject a line.

    Args:
        collection: What the server says.
        documents: Its documents, of which the first tell which metadata fields there are.
    """
    table = Table([*names(""), *texts("")])
    for subject, told in _subjects(collection, documents):
        table.add(subject, told)
    print_table(table)


def plain(collection: Collection) -> dict[str, Any]:
    """A collection for JSON."""
    content = dataclasses.asdict(collection)
    content["create_time"] = collection.create_time.isoformat()
    defaults = collection.search_defaults
    if defaults is not None and defaults.set_time is not None:
        content["search_defaults"]["set_time"] = defaults.set_time.isoformat()
    return content


def print_facets(facets: Mapping[str, Facet]) -> None:
    """Prints a table of values for each field, its span above it."""
    for number, (field, facet) in enumerate(facets.items()):
        if number:
            say()
        say(_span(field, facet))
        if facet.values:
            table = Table([*texts("value"), *figures("documents")])
            for each in facet.values:
                table.add(_shown(each.value), f"{each.num_documents:,}")
            print_table(table)
        if 0 < len(facet.values) < facet.num_values:
            left = facet.num_values - len(facet.values)
            say(f"and {left:,} more; --limit shows them")


def _subjects(collection: Collection, documents: Iterable[Document]) -> Iterable[tuple[str, str]]:
    schema = collection.schema
    yield "collection", collection.name
    yield "aliases", ", ".join(collection.aliases) or "none"
    yield "created", f"{collection.create_time:%Y-%m-%d %H:%M:%S} UTC"
    split = f", {collection.num_split:,} of them split" if collection.num_split else ""
    yield "documents", f"{collection.num_documents:,}{split}"
    yield "metadata", _seen_fields(documents) or "none"
    yield "indexed fields", _typed(schema.indexed_fields) or "none"
    yield "encoder", _encoder(schema)
    yield "vectors", f"{schema.dimension:,} components, {schema.metric}, index {schema.index_kind}"
    yield "words", _words(schema)
    yield "long documents", _splitting(schema)
    yield (
        "takes writes",
        f"no: {collection.read_only_reason}" if (collection.read_only_reason) else "yes",
    )
    if told := defaults_told(collection.search_defaults):
        yield "search defaults", told
    for problem in (collection.encoder_problem, collection.search_defaults_problem):
        if problem:
            yield "problem", problem


def defaults_told(defaults: SearchDefaults | None) -> str:
    """What a collection's searches use where they say nothing, in words; "" for nothing."""
    if defaults is None:
        return ""
    told = [
        f"{name.replace('_', ' ')} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name in ("mode", "k", "depth", "reranker", "blend", "min_score", "answer_threshold")
        if (value := getattr(defaults, name)) is not None
    ]
    match defaults.fusion:
        case ReciprocalRankFusion(k):
            told.append(f"fused by ranks (k {k})")
        case ConvexFusion(alpha):
            told.append(f"fused by scores (alpha {alpha:g})")
    if defaults.truncation is not None:
        told.append(_LONG_PASSAGES[defaults.truncation])
    if defaults.query_truncation is not None:
        told.append(_LONG_QUERIES[defaults.query_truncation])
    if defaults.rerank is not None:
        told.append("second pass" if defaults.rerank else "no second pass")
    by = f"chosen by {defaults.chosen_by}" if defaults.chosen_by else "set"
    when = f" on {defaults.set_time:%Y-%m-%d}" if defaults.set_time else ""
    return f"{', '.join(told)}; {by}{when}"


def _encoder(schema: Schema) -> str:
    if schema.client_vectors:
        return "none: documents and queries bring their vectors"
    return f"{schema.encoder}, revision {schema.encoder_revision[:_REVISION_DIGITS]}"


def _words(schema: Schema) -> str:
    if schema.lexical_tokenizer == "porter":
        return "English endings removed, by Porter's algorithm of 1980"
    if schema.language in ("", "none"):
        return "searched as they stand"
    return f"endings of language {schema.language} removed"


def _splitting(schema: Schema) -> str:
    if schema.client_vectors:
        return "not split: each has its own vector"
    if schema.chunking is None:
        return "not split: the encoder reads their beginning alone"
    window, overlap = schema.chunking.window_tokens, schema.chunking.overlap_tokens
    return f"split into windows of {window:,} tokens, {overlap:,} of them shared with the next"


def _typed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{field} ({kind})" for field, kind in sorted(kinds.items()))


def _seen_fields(documents: Iterable[Document]) -> str:
    """The metadata fields of the first documents, with the types of their values."""
    seen: dict[str, set[str]] = defaultdict(set)
    count = 0
    for count, document in enumerate(itertools.islice(documents, _SAMPLED), 1):  # noqa: B007
        for field, value in document.metadata.items():
            seen[field].add(_type_name(value))
    if not seen:
        return ""
    fields = {field: " or ".join(sorted(kinds)) for field, kinds in seen.items()}
    sampled = "" if count < _SAMPLED else f"; seen in the first {_SAMPLED} documents"
    return _typed(fields) + sampled


def _type_name(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "text"
        case int() | float():
            return "number"
        case None:
            return "null"
        case list():
            return "list"
    return "object"


def _span(field: str, facet: Facet) -> str:
    """How many documents have the field, and from where to where its values go."""
    have = "has" if facet.num_documents == 1 else "have"
    values = counted(facet.num_values, "value")
    line = f"{field}: {counted(facet.num_documents, 'document')} {have} it, {values}"
    if facet.times is not None:
        return f"{line}, from {facet.times[0].isoformat()} to {facet.times[1].isoformat()}"
    if facet.numbers is not None and facet.numbers[0] != facet.numbers[1]:
        return f"{line}, from {facet.numbers[0]} to {facet.numbers[1]}"
    return line


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value or '""'
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)
