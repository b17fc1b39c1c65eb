"""What a run tells of its end, whatever the server does, and what a later run goes on with."""

import json
from datetime import UTC, datetime
from itertools import islice
from types import SimpleNamespace

import pytest

from twopass.client import UnavailableError, UpsertSummary
from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading
from twopass.commands.transfer.field_mapping import FieldMapping
from twopass.commands.transfer.indexing import Indexing, OnError, Settings
from twopass.commands.transfer.reporting import closing_lines

MADE = datetime(2026, 1, 2, tzinfo=UTC)


class Server:
    """A client of a server that holds one collection.

    Attributes:
        texts: What it holds, by id.
        is_away_after: Documents that it writes before it is gone; None: it stays.
        max_passage_bytes: The longest passage that it takes.
    """

    def __init__(self, is_away_after=None) -> None:
        self.texts: dict[str, str] = {}
        self.is_away_after = is_away_after
        self.max_passage_bytes = 1_000

    def get_collection(self, name):
        if len(self.texts) == self.is_away_after:
            raise UnavailableError("gone")
        schema = SimpleNamespace(client_vectors=False, dimension=8)
        return SimpleNamespace(
            name=name, num_documents=len(self.texts), create_time=MADE, schema=schema
        )

    def server_info(self):
        return SimpleNamespace(limits=SimpleNamespace(max_passage_bytes=self.max_passage_bytes))

    def upsert(self, collection, documents, *, chunk_size, on_conflict, on_progress):
        num_documents = num_chunks = 0
        taken = iter(documents)
        while chunk := list(islice(taken, chunk_size)):
            if len(self.texts) == self.is_away_after:
                raise UnavailableError("gone")
            self.texts |= {document.id: document.text for document in chunk}
            num_chunks += 1
            num_documents += len(chunk)
            on_progress(UpsertSummary("s", num_chunks, num_documents, num_documents))


def run(server, files, resume=None, on_error=OnError.SKIP, reading=Reading(), **mapping):
    settings = Settings(
        mapping=FieldMapping(**mapping),
        chunk_size=2,
        resume=resume,
        on_error=on_error,
        on_conflict="fail",  # so that a server that is gone is not asked again
    )
    return Indexing(server, "docs", find_files(files, reading), settings).run()


@pytest.fixture
def lines(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text("".join(json.dumps({"id": str(n), "text": "x"}) + "\n" for n in range(10)))
    return file


def test_a_run_that_failed_does_not_tell_how_much_there_was_before_it(lines):
    ended = run(Server(is_away_after=4), [lines])
    assert isinstance(ended.failure, UnavailableError)
    assert list(closing_lines("docs", ended)) == ["        4 inserted"]


def test_a_run_is_told_and_done_though_the_server_goes_away_after_its_last_document(
    lines, tmp_path, capsys
):
    resume = tmp_path / "state"
    ended = run(Server(is_away_after=10), [lines], resume)
    assert ended.is_success
    assert list(closing_lines("docs", ended)) == ["       10 inserted"]
    assert "docs: can't be asked how much it holds now (gone)" in capsys.readouterr().err
    assert not resume.exists()
