"""The collection of `twopass demo`: filled once, also after an interruption, then reused."""

import json
import platform
import time
from pathlib import Path

from rich.progress import MofNCompleteColumn

from twopass.client import Client, Collection, Document, NotFoundError
from twopass.commands.stdlib_docs import passages
from twopass.commands.terminal.consoles import redrawn
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.progress import progress_bar

COLLECTION = "python-docs"
_CHUNK_SIZE = 64


def filled(client: Client, data: Path) -> str:
    """Fills the collection, unless an earlier run has; says in a sentence what it holds.

    A run that ended midway is gone on with: what it wrote is not embedded again. Documents of
    another version of Python, or of an encoder that the server no longer holds, are replaced.

    A collection of that name which no run of the demo has made stays as it is, and ends the
    command.

    Args:
        client: Client of the demo's server.
        data: The server's data folder, where a file tells which collection is the demo's.
    """
    marker = Marker(data / f"{COLLECTION}-demo.json")
    has_begun = _keep_or_drop(client, marker, data)
    if has_begun and marker.read().get("python"):
        held = client.get_collection(COLLECTION).num_documents
        return f"{held:,} passages are there from an earlier run"
    with redrawn().status("Reading the standard library's docstrings …"):
        documents = passages()
    if not has_begun:
        marker.write(created=None)
        created = client.create_collection(COLLECTION).create_time.isoformat()
        marker.write(created=created)
    found = client.get_collection(COLLECTION)
    before = found.num_documents
    began = time.perf_counter()
    _upsert(client, documents)
    seconds = time.perf_counter() - began
    marker.write(created=found.create_time.isoformat(), python=platform.python_version())
    new = len(documents) - before
    told = f"{new:,} passages tokenised, embedded and on disk in {seconds:.1f} s"
    if seconds:
        told += f" ({new / seconds:,.0f} a second)"
    return f"{told}; {before:,} were there from a run that was interrupted" if before else told


class Marker:
    """The file in a data folder that tells which collection the demo has made, and how far.

    Its fields are `created`, when the collection was, or null where the demo was about to create
    it; and `python`, the version whose documentation it holds whole, or null until it does.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[str, str | None]:
        """Its fields; empty where there is no such file, or another program's."""
        try:
            content = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, *, created: str | None, python: str | None = None) -> None:
        """Replaces the file."""
        content = json.dumps({"created": created, "python": python})
        self._file.write_text(content, encoding="utf-8")

    def tells_of(self, collection: Collection) -> bool:
        """Whether the demo has made a collection, in this very life of it."""
        content = self.read()
        if "created" not in content or collection.name != COLLECTION:
            return False
        if content["created"] is None:  # it ended between the file and the collection, or after it
            return collection.num_documents == 0
        return content["created"] == collection.create_time.isoformat()


def _keep_or_drop(client: Client, marker: Marker, data: Path) -> bool:
    """Deletes a collection of the demo's that can't be used; returns whether there is one to use.

    A collection that is not the demo's ends the command.
    """
    try:
        collection = client.get_collection(COLLECTION)
    except NotFoundError:
        return False
    if not marker.tells_of(collection):
        exit_with(
            f"--data {data}: the collection {COLLECTION} there was not made by the demo, and stays "
            "as it is; give the demo a folder of its own by --data"
        )
    python = marker.read().get("python")
    is_of_another = python is not None and python != platform.python_version()
    if not collection.encoder_problem and not is_of_another:
        return True
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
