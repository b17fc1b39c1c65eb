"""JSON lines: one object a line."""

import json
from collections.abc import Iterator

from twopass.commands.sources.opening import opened
from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.sources.source_file import SourceFile


def read_jsonl(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads the objects of a file, one a line; blank lines are none."""
    with opened(file) as source:
        for number, line in enumerate(source.stream, 1):
            if not line.strip():
                continue
            where = f"{file.where}:{number}"
            try:
                fields = json.loads(line)
            except ValueError as error:
                yield LeftOut(
                    where=where, kind="lines that are not JSON", reason=f"not JSON ({error})"
                )
                continue
            if not isinstance(fields, dict):
                reason = f"a JSON {type(fields).__name__}, an object is needed"
                yield LeftOut(where=where, kind="lines that are not JSON", reason=reason)
                continue
            yield Record(where=where, fields=fields, num_bytes=source.position())
