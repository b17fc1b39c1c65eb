"""What a run tells of its end, whatever the server does, and what a later run goes on with."""

import json
from datetime import UTC, datetime
from itertools import islice

import pytest

from twopass.client import UnavailableError, UpsertSummary
from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading
from twopass.commands.transfer.checkpoint import CheckpointError
from twopass.commands.transfer.field_mapping import FieldMapping
from twopass.commands.transfer.indexing import Indexing, OnError, Settings
from twopass.commands.transfer.reporting import closing_lines

from ...client_results import collection, server_info

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
        return collection(name, num_documents=len(self.texts), create_time=MADE, dimension=8)

    def server_info(self):
        return server_info(max_passage_bytes=self.max_passage_bytes)

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


def run(server, files, resume=None, on_error=OnError.SKIP, encoding=None, **mapping):
    settings = Settings(
        mapping=FieldMapping(**mapping),
        chunk_size=2,
        resume=resume,
        on_error=on_error,
        on_conflict="fail",  # so that a server that is gone is not asked again
    )
    return Indexing(server, "docs", find_files(files, Reading(encoding=encoding)), settings).run()


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


def test_a_run_goes_on_with_no_file_that_is_read_in_another_encoding_now(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, text in [("a", "caf\xe9"), ("b", "tea"), ("c", "milk"), ("d", "rice"), ("e", "oil")]:
        (notes / f"{name}.txt").write_bytes(text.encode("cp1252") * 9)
    server, resume = Server(is_away_after=2), tmp_path / "state"
    ended = run(server, [notes], resume)
    assert isinstance(ended.failure, UnavailableError)
    assert sorted(server.texts) == ["b.txt", "c.txt"]
    server.is_away_after = None
    # a.txt would be the first document now: the first two that are done would be a.txt and b.txt.
    with pytest.raises(CheckpointError, match="another run, which differs in --encoding; delete"):
        run(server, [notes], resume, encoding="cp1252")
    resume.unlink()
    run(server, [notes], resume, encoding="cp1252")
    assert sorted(server.texts) == ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"]


@pytest.fixture
def lines_with_a_long_one(tmp_path):
    file = tmp_path / "x.jsonl"
    texts = ["x", "y" * 2_000, "x", "x", "x", "x", "x"]
    documents = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    file.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return file


def test_what_stopped_a_run_is_indexed_once_the_server_takes_it(lines_with_a_long_one, tmp_path):
    server, resume = Server(), tmp_path / "state"
    ended = run(server, [lines_with_a_long_one], resume, OnError.STOP)
    assert "2,000 bytes of UTF-8" in ended.stopped_by.reason
    server.max_passage_bytes = 4_000
    ended = run(server, [lines_with_a_long_one], resume, OnError.STOP)
    assert (ended.tally.num_resumed, ended.tally.num_inserted) == (1, 6)
    assert sorted(server.texts) == ["0", "1", "2", "3", "4", "5", "6"]


def test_a_run_never_passes_over_a_record_that_was_left_out_and_would_be_taken_now(
    lines_with_a_long_one, tmp_path
):
    server, resume = Server(is_away_after=4), tmp_path / "state"
    run(server, [lines_with_a_long_one], resume)
    assert sorted(server.texts) == ["0", "2", "3", "4"]
    server.is_away_after, server.max_passage_bytes = None, 4_000
    with pytest.raises(
        CheckpointError,
        match="4 documents among 5 records, where there are 4 among 4 now; delete it to begin anew",
    ):
        run(server, [lines_with_a_long_one], resume)
    server.max_passage_bytes = 1_000
    ended = run(server, [lines_with_a_long_one], resume)
    assert (ended.tally.num_resumed, ended.tally.num_inserted) == (4, 2)
    assert ended.tally.num_left_out.total() == 1
    assert not resume.exists()
