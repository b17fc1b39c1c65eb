"""The flags that say how files are to be read."""

import codecs
from typing import Annotated, TypeAlias

import typer

from twopass.commands.sources.reading import Format


def _known_encoding(name: str | None) -> str | None:
    """Refuses an encoding that is not one of text."""
    if name is None:
        return None
    try:
        "".encode(codecs.lookup(name).name)
    except (LookupError, UnicodeError) as error:
        raise typer.BadParameter(
            f"{name!r} is no encoding that is known; such are utf-8, utf-16, cp1252 (Western "
            "European), cp1251 (Cyrillic), shift_jis, gb18030"
        ) from error
    return name


def _one_character(given: str | None) -> str | None:
    """Refuses what can't be between fields; a backslash and t, or `tab`, are a tab."""
    if given is None:
        return None
    delimiter = "\t" if given in (r"\t", "tab") else given
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise typer.BadParameter(
            f"{given!r} given, one character is needed that is no quote, such as ';' or '\\t'"
        )
    return delimiter


FormatOption: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="What the files hold, and standard input (`-`); unset: what their suffixes say. Of a "
        "folder, only files of this format are taken.",
        show_default=False,
    ),
]
EncodingOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        callback=_known_encoding,
        help="Encoding of text that doesn't name its own, such as cp1252; unset: UTF-8.",
        show_default=False,
    ),
]
DelimiterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        callback=_one_character,
        help="What separates the fields of CSV; unset: what the file's beginning shows.",
        show_default=False,
    ),
]
QuotesOption: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--quotes/--no-quotes",
        help="Whether quotes enclose fields of CSV or are text; unset: they enclose fields, unless "
        "the beginning of a file with tabs shows that they are text.",
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
