"""`twopass get`: documents by id, whole."""

import json
import math
from collections.abc import Sequence
from typing import Annotated

import typer

from twopass.client import Client, Document, Fields, OverloadedError
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.consoles import literal
from twopass.commands.terminal.failures import NOT_FOUND, exit_with
from twopass.commands.terminal.sentences import say

_AT_ONCE = 500


def get(
    collection: CollectionName,
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="The documents' ids.")],
    vector: Annotated[bool, typer.Option("--vector", help="Show embeddings too.")] = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Show documents whole: title, metadata, text.

    Documents come in the order of the ids. Where one is unknown, the others are shown, and the
    exit status is 4.

        twopass get docs sky
        twopass get docs sky dates --json | jq -r '.[].text'
        twopass get docs -- -begins-with-a-dash
    """
    wanted = list(dict.fromkeys(ids))
    fields = Fields(text=True, metadata=True, vector=vector)
    with connected(target) as client:
        found = [
            document
            for start in range(0, len(wanted), _AT_ONCE)
            for document in _fetched(client, collection, wanted[start : start + _AT_ONCE], fields)
        ]
    if as_json:
        print_json([_plain(document, vector=vector) for document in found])
    else:
        for number, document in enumerate(found):
            if number:
                say()
            _print(document)
    unknown = dict.fromkeys(wanted)
    for document in found:
        del unknown[document.id]
    if unknown:
        word = "document" if len(unknown) == 1 else "documents"
        exit_with(f"{collection} has no {word} {', '.join(map(repr, unknown))}", NOT_FOUND)


def _fetched(
    client: Client, collection: str, ids: Sequence[str], fields: Fields
) -> tuple[Document, ...]:
    """The documents there are; in halves where they are larger than one answer may be."""
    try:
        return client.get(collection, ids, fields=fields, allow_missing=True, timeout=math.inf)
    except OverloadedError as error:
        if error.retry_after is not None or len(ids) == 1:
            raise
    middle = len(ids) // 2
    return _fetched(client, collection, ids[:middle], fields) + _fetched(
        client, collection, ids[middle:], fields
    )


def _plain(document: Document, *, vector: bool) -> dict[str, object]:
    content: dict[str, object] = {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": dict(document.metadata),
    }
    return content | ({"vector": list(document.vector or ())} if vector else {})


def _print(document: Document) -> None:
    """Prints a document: its id, title and metadata a line each, then its text."""
    say(literal(document.id, "bold"))
    if document.title:
        say(literal("title: ", "dim"), literal(document.title))
    for name, value in document.metadata.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        say(literal(f"{name}: ", "dim"), literal(shown))
    if document.vector is not None:
        components = " ".join(f"{component:.6g}" for component in document.vector)
        say(literal("vector: ", "dim"), components)
    if document.text:
        say()
        say(document.text)
