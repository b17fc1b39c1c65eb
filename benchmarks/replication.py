"""`python -m twopass.benchmarks.replication`: what a read replica of a node would move.

Two ways are measured on a real collection: copying a snapshot again and again, and sending a log of
the changes, which SQLite's session extension records. docs/decisions.md says what follows.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import apsw
import typer
from rich.console import Console
from rich.table import Table

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.size.corpus import Corpus
from twopass.benchmarks.size.ingest import ingest
from twopass.benchmarks.size.texts import Texts
from twopass.client import Client
from twopass.server.local import LocalServer, orderly_end

_COLLECTION = "docs"
_PAGE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of write, and what it takes to repeat it elsewhere.

    Attributes:
        name: The kind.
        num_documents: Documents that were changed.
        log_bytes: Of the session's log.
        wal_bytes: Of SQLite's own write-ahead log.
        page_bytes: Of the file's pages that differ afterwards.
        write_seconds: For the write, without a session.
        logged_seconds: For the same write with one.
        apply_seconds: For applying the log to a copy.
        is_equal: Whether the copy's documents are then those of the original.
        same_next_key: Whether the copy would give the next document the key that the original does.
    """

    name: str
    num_documents: int
    log_bytes: int
    wal_bytes: int
    page_bytes: int
    write_seconds: float
    logged_seconds: float
    apply_seconds: float
    is_equal: bool
    same_next_key: bool


def main(
    documents: Annotated[int, typer.Option(min=10_000, help="How many documents.")] = 100_000,
    changed: Annotated[int, typer.Option(min=1, help="Documents of each kind of write.")] = 1_000,
) -> None:
    """Measure what a snapshot and a log of changes of a collection take."""
    with orderly_end(), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpus = Corpus.make(folder / "corpus", documents, 384, Texts.made_up(0))
        data = folder / "data"
        with LocalServer(data) as server, Client(server.target, timeout=None) as client:
            ingest(client, _COLLECTION, corpus, "Flat")
            snapshot_seconds = _seconds(lambda: client.create_snapshot(_COLLECTION, "copy"))
        (snapshot,) = (path for path in (data / "snapshots").rglob("documents.sqlite"))
        copied = folder / "copied"
        copy_seconds = _seconds(lambda: shutil.copytree(snapshot.parent, copied))
        num_bytes = {
            path.relative_to(copied).parts[0]: path.stat().st_size
            for path in copied.rglob("*")
            if path.is_file()
        }
        open_seconds = _seconds(lambda: _answer_once(data, corpus))
        changes = list(_changes(copied / "documents.sqlite", folder, changed))
    _print(documents, num_bytes, (snapshot_seconds, copy_seconds, open_seconds), changes)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _answer_once(data: Path, corpus: Corpus) -> None:
    """Starts a server on a folder and searches until everything is loaded."""
    with LocalServer(data) as server, Client(server.target, timeout=None) as client:
        client.search(_COLLECTION, corpus.questions[0].text, retrieve="lexical", rerank=False)


def _changes(file: Path, folder: Path, count: int) -> Iterator[Change]:
    """Makes each kind of write once without and once with a session, and applies the log."""
    # ruff: noqa: S608  # no SQL here is anybody's input
    columns = "id, position, token_ids, embedding, title, text, metadata, checksum"
    some = f"SELECT key FROM documents WHERE key % 7 = 3 ORDER BY key LIMIT {count}"
    writes = {
        "replace documents": (
            f"CREATE TEMP TABLE changed AS SELECT {columns} FROM documents WHERE key IN ({some})",
            "DELETE FROM documents WHERE id IN (SELECT id FROM changed)",
            f"INSERT INTO documents ({columns}) SELECT {columns} FROM changed",
            "DROP TABLE changed",
        ),
        "change metadata": (
            f"""UPDATE documents SET metadata = '{{"a":1}}' WHERE key IN ({some})""",
        ),
        "delete documents": (f"DELETE FROM documents WHERE key IN ({some})",),
    }
    for name, statements in writes.items():
        paths = [folder / f"{role}.sqlite" for role in ("plain", "original", "copy")]
        for path in paths:
            shutil.copyfile(file, path)
        plain, original, copy = map(_opened, paths)
        write_seconds = _seconds(lambda: _write(plain, statements))  # noqa: B023  # run at once
        wal_bytes = Path(f"{paths[0]}-wal").stat().st_size
        session = apsw.Session(original, "main")
        session.attach()
        logged_seconds = _seconds(lambda: _write(original, statements))  # noqa: B023
        log = session.changeset()
        session.close()
        apply_seconds = _seconds(lambda: apsw.Changeset.apply(log, copy))  # noqa: B023
        contents = [_contents(connection) for connection in (original, copy)]
        keys = [_next_key(connection) for connection in (original, copy)]
        for connection in (plain, original, copy):
            connection.close()  # which checkpoints
        yield Change(
            name=name,
            num_documents=count,
            log_bytes=len(log),
            wal_bytes=wal_bytes,
            page_bytes=_PAGE_BYTES * _num_pages_that_differ(file, paths[0]),
            write_seconds=write_seconds,
            logged_seconds=logged_seconds,
            apply_seconds=apply_seconds,
            is_equal=contents[0] == contents[1],
            same_next_key=keys[0] == keys[1],
        )


def _opened(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "FULL")
    connection.pragma("wal_autocheckpoint", 0)
    return connection


def _write(connection: apsw.Connection, statements: tuple[str, ...]) -> None:
    with connection:
        for statement in statements:
            connection.execute(statement)


def _contents(connection: apsw.Connection) -> list[tuple[object, ...]]:
    """What identifies every version of every document."""
    return list(
        connection.execute("SELECT key, id, checksum, metadata FROM documents ORDER BY key")
    )


def _next_key(connection: apsw.Connection) -> object:
    return connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'documents'").get


def _num_pages_that_differ(one: Path, other: Path) -> int:
    with one.open("rb") as before, other.open("rb") as after:
        return sum(
            page != before.read(_PAGE_BYTES) for page in iter(lambda: after.read(_PAGE_BYTES), b"")
        )


def _print(
    num_documents: int,
    num_bytes: dict[str, int],
    seconds: tuple[float, float, float],
    changes: list[Change],
) -> None:
    console = Console(width=160)
    console.print(f"{this_machine()}\n")
    total = sum(num_bytes.values())
    console.print(
        f"snapshot of {num_documents:,} documents: {total / 1e6:,.0f} MB, "
        f"{total / num_documents:,.0f} bytes a document; made in {seconds[0]:.1f} s, copied on "
        f"this disk in {seconds[1]:.1f} s, a server that answers from it {seconds[2]:.1f} s later"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    heads = (
        *("log B/document", "WAL B/document", "pages B/document", "written ms", "with log ms"),
        *("applied ms", "documents equal", "next key equal"),
    )
    table.add_column("write")
    for head in heads:
        table.add_column(head, justify="right")
    for change in changes:
        table.add_row(
            f"{change.name} ({change.num_documents:,})",
            *(
                f"{each / change.num_documents:,.0f}"
                for each in (change.log_bytes, change.wal_bytes, change.page_bytes)
            ),
            *(
                f"{1e3 * each:,.0f}"
                for each in (change.write_seconds, change.logged_seconds, change.apply_seconds)
            ),
            "yes" if change.is_equal else "no",
            "yes" if change.same_next_key else "no",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
