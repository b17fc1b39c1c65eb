"""The collection of `twopass demo`: filled once, also after an interruption, then reused."""

import platform
import time
from pathlib import Path

from rich.progress import MofNCompleteColumn

from twopass.client import Client, Document, NotFoundError
from twopass.commands.stdlib_docs import passages
from twopass.commands.terminal.consoles import redrawn
from twopass.commands.terminal.progress import progress_bar

COLLECTION = "python-docs"
_CHUNK_SIZE = 64


def filled(client: Client, data: Path) -> str:
    """Fills the collection, unless an earlier run has; says in a sentence what it holds.

    A run that ended midway is gone on with: what it wrote is not embedded again. Documents of
    another version of Python, or of an encoder that the server no longer holds, are replaced.

    Args:
        client: Client of the demo's server.
        data: The server's data folder, where a file tells that the collection is whole.
    """
    whole = data / f"{COLLECTION}-whole"
    has_begun = _keep_or_drop(client, whole)
    if has_begun and whole.exists():
        held = client.get_collection(COLLECTION).num_documents
        return f"{held:,} passages are there from an earlier run"
    with redrawn().status("Reading the standard library's docstrings …"):
        documents = passages()
    if not has_begun:
        client.create_collection(COLLECTION)
    before = client.get_collection(COLLECTION).num_documents
    began = time.perf_counter()
    _upsert(client, documents)
    seconds = time.perf_counter() - began
    whole.write_text(platform.python_version(), encoding="utf-8")
    new = len(documents) - before
    told = f"{new:,} passages tokenised, embedded and on disk in {seconds:.1f} s"
    if seconds:
        told += f" ({new / seconds:,.0f} a second)"
    return f"{told}; {before:,} were there from a run that was interrupted" if before else told


def _keep_or_drop(client: Client, whole: Path) -> bool:
    """Deletes a collection that can't be used; returns whether there is one to use."""
    try:
        collection = client.get_collection(COLLECTION)
    except NotFoundError:
        whole.unlink(missing_ok=True)
        return False
    is_of_another = whole.exists() and whole.read_text("utf-8") != platform.python_version()
    if not collection.encoder_problem and not is_of_another:
        return True
    whole.unlink(missing_ok=True)
    client.delete_collection(COLLECTION)
    return False


def _upsert(client: Client, documents: list[Document]) -> None:
    with progress_bar(MofNCompleteColumn()) as progress:
        task = progress.add_task("   indexing", total=len(documents))
        client.upsert(
            COLLECTION,
            documents,
            chunk_size=_CHUNK_SIZE,
            on_conflict="skip",
            on_progress=lambda done: progress.update(task, completed=done.num_documents),
        )
