"""Queries for searches: from a file, or made of the documents themselves."""

import json
from pathlib import Path

from twopass.client import AsyncClient

# As many as differ enough for a benchmark, and few enough to list in a moment.
_MAX_QUERIES = 1_000
_QUERY_WORDS = 10
_QUERY_CHARS = 200


class QueriesError(Exception):
    """There are no queries to be had; the message says where they were looked for."""


def queries_of_file(file: Path) -> list[str]:
    """Reads one JSON object a line; its `query`, or else its `text`, is the query.

    Raises:
        QueriesError: The file is missing, a line is something else, or there is none.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QueriesError(f"{file}: can't be read as text ({error})") from error
    queries = [_query(line, f"{file}:{n}") for n, line in enumerate(lines, 1) if line.strip()]
    if not queries:
        raise QueriesError(f'{file}: no query; one {{"query": "…"}} is expected on each line')
    return queries


async def queries_of_collection(client: AsyncClient, collection: str) -> list[str]:
    """Takes the first words of a collection's first documents.

    Raises:
        QueriesError: No document has any text.
        TwopassError: The server does not answer, or has no such collection.
    """
    queries: list[str] = []
    async for document in client.documents(collection):
        if beginning := _beginning(document.text):
            queries.append(beginning)
        if len(queries) == _MAX_QUERIES:
            break
    if not queries:
        raise QueriesError(
            f"collection {collection}: no document with text to make queries of; "
            "`twopass index` puts some in"
        )
    return queries


def _query(line: str, where: str) -> str:
    try:
        entry = json.loads(line)
        query = entry.get("query", entry.get("text"))
    except (ValueError, AttributeError):
        query = None
    if not isinstance(query, str) or not query.strip():
        raise QueriesError(f'{where}: {{"query": "…"}} or {{"text": "…"}} is expected')
    return query


def _beginning(text: str) -> str:
    return " ".join(text.split(maxsplit=_QUERY_WORDS)[:_QUERY_WORDS])[:_QUERY_CHARS]
