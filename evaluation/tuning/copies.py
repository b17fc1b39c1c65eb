"""Collections beside the one that is tuned, for as long as they are needed."""

import math
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from twopass.client import Chunking, Client, Collection, Document, NotFoundError, TwopassError
from twopass.evaluation.runs import EvaluationError
from twopass.evaluation.tuning.reading import Bar

_AT_ONCE = 64


@contextmanager
def copied(
    client: Client,
    described: Collection,
    documents: Iterable[Document],
    num_documents: int,
    bar: Bar,
    chunking: Chunking | None = None,
) -> Iterator[str]:
    """A collection of some documents, searched as another one is, while a block lasts.

    It is searched exactly, whatever index the other one has, and deleted at the end, Ctrl-C
    included; its name begins with the other's and holds "-tune-".

    Args:
        client: Client of the server, whose key may create and delete it.
        described: The collection that it is like.
        documents: What it holds; embedded anew.
        num_documents: How many these are, about.
        bar: Shows progress.
        chunking: How its documents are split; None for as in the other.

    Yields:
        Its name.

    Raises:
        EvaluationError: It could not be deleted; says how to.
    """
    name = f"{described.name[:40]}-tune-{secrets.token_hex(4)}"
    schema = replace(described.schema, encoder_revision="", index_kind="")
    if chunking is not None:
        schema = replace(schema, chunking=chunking, whole_documents=False)
    client.create_collection(name, schema)
    try:
        if described.search_defaults is not None:
            # So that what a search does that sets nothing is what it does there.
            client.set_search_defaults(name, described.search_defaults)
        told = "indexing a copy"
        if chunking is not None:
            told += f" in windows of {chunking.window_tokens} tokens"
        with bar(told, num_documents) as advance:
            left = iter(documents)
            while some := list(islice(left, _AT_ONCE)):
                client.upsert(name, some)
                advance(len(some))
        yield name
    finally:
        try:
            client.delete_collection(name, timeout=math.inf)
        except NotFoundError:  # somebody has deleted it already
            pass
        except TwopassError as error:
            raise EvaluationError(
                f"{name}: this copy could not be deleted ({error}); do it yourself, by "
                f"`twopass collections delete {name}`"
            ) from error
