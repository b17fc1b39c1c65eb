"""What `twopass index` says at its end: lines for people, an object for scripts."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from twopass.commands.transfer.indexing import Outcome

# Kinds of other files that the closing lines name.
_SUFFIXES = 4


def closing_lines(name: str, outcome: Outcome) -> Iterator[str]:
    """What was written and what was left out, each a line of at most 60 columns where names allow.

    Args:
        name: The collection's.
        outcome: How the run ended.
    """
    tally = outcome.tally
    if outcome.collection is not None:
        number = outcome.collection.num_documents
        yield f"{name}: {number:,} document{'s' * (number != 1)} in all"
    lines = [
        (tally.num_inserted, "inserted"),
        (tally.num_replaced, "replaced"),
        (tally.num_split, "of these split for their length"),
        (tally.num_skipped, "left as they were, since their ids are known"),
        (tally.num_resumed, "done by an earlier run (--resume)"),
    ]
    told = [(number, words) for number, words in lines if number]
    if not told and outcome.collection is not None:
        told = [(0, "inserted")]
    for number, words in told:
        yield f"{number:>9,} {words}"
    if tally.num_left_out:
        yield f"{tally.num_left_out.total():>9,} left out"
        for kind, number in tally.num_left_out.most_common():
            yield f"{'':>9} {kind}: {number:,}"
    if tally.num_other_files:
        others = tally.num_other_files.total()
        those = "file of another kind; --include reads it"
        if others > 1:
            those = "files of other kinds; --include reads them"
        yield f"{others:>9,} {those}"
        yield f"{'':>9} {_suffixes(outcome)}"
    if tally.unused_fields:
        unused = ", ".join(tally.unused_fields)
        yield f"fields not taken, since --metadata-field is set: {unused}"


def _suffixes(outcome: Outcome) -> str:
    """How many files of which other kinds there were: "42 .png, 7 .so, 3 more"."""
    counts = outcome.tally.num_other_files.most_common()
    named = [f"{number:,} {suffix or 'no suffix'}" for suffix, number in counts[:_SUFFIXES]]
    rest = sum(number for _, number in counts[_SUFFIXES:])
    return ", ".join(named + ([f"{rest:,} others"] if rest else []))


def json_report(name: str, outcome: Outcome) -> dict[str, Any]:
    """The same for scripts; what was left out is named, the first 10,000.

    What the collection holds at the end is null where that is not known.
    """
    tally = outcome.tally
    collection = outcome.collection
    return {
        "collection": name,
        "num_inserted": tally.num_inserted,
        "num_replaced": tally.num_replaced,
        "num_skipped": tally.num_skipped,
        "num_split": tally.num_split,
        "num_resumed": tally.num_resumed,
        "num_left_out": tally.num_left_out.total(),
        "num_left_out_by_kind": dict(tally.num_left_out),
        "num_other_files": dict(tally.num_other_files),
        "unused_fields": tally.unused_fields,
        "left_out": [asdict(item) for item in tally.left_out],
        "stopped_by": asdict(outcome.stopped_by) if outcome.stopped_by else None,
        "is_interrupted": outcome.is_interrupted,
        "num_documents": collection.num_documents if collection else None,
        "sequence": collection.sequence if collection else None,
    }
