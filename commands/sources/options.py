"""The flags that say how files are to be read."""

from typing import Annotated, TypeAlias

import typer

from twopass.commands.sources.reading import Format

FormatOption: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="What the files hold, and standard input (`-`); unset: what their suffixes say.",
        show_default=False,
    ),
]
EncodingOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Encoding of text that doesn't name its own, such as cp1252; unset: UTF-8.",
        show_default=False,
    ),
]
DelimiterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        help="What separates the fields of CSV; unset: what the file's beginning shows.",
        show_default=False,
    ),
]
IncludeOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        help="Take from folders the files that match this pattern, such as '*.jsonl' or "
        "'notes/**/*.py', instead of the usual kinds; may be repeated.",
        show_default=False,
    ),
]
ExcludeOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Leave files and folders that match this pattern out of folders; may be repeated.",
        show_default=False,
    ),
]
