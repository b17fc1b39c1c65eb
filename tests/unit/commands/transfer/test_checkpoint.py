"""How far a run has come is kept, and never taken for another run's."""

from datetime import UTC, datetime

import pytest

from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import LeftOut
from twopass.commands.transfer.checkpoint import Checkpoint, CheckpointError, Done
from twopass.commands.transfer.field_mapping import FieldMapping

MADE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "x.jsonl").write_text("{}")

    def make(
        collection="docs", created=MADE, encoding=None, delimiter=None, has_quotes=None, **mapping
    ):
        reading = Reading(encoding=encoding, delimiter=delimiter, has_quotes=has_quotes)
        files = find_files([tmp_path / "x.jsonl"], reading).files
        path = tmp_path / "resume.json"
        return Checkpoint.of(path, collection, created, files, FieldMapping(**mapping))

    return make


def test_a_run_goes_on_where_the_one_before_it_was_interrupted(checkpoint):
    assert checkpoint().done().num_done == 0
    checkpoint().save(Done(512, 514))
    refused = LeftOut(where="x.jsonl:7", kind="k", reason="r")
    checkpoint().save(Done(768, 770, (refused,)))
    assert checkpoint().done() == Done(768, 770, (refused,))
    checkpoint().remove()
    checkpoint().remove()
    assert checkpoint().done().num_done == 0


def test_a_file_of_another_run_is_refused(checkpoint, tmp_path):
    checkpoint().save(Done(512))
    for other, what in [
        ({"collection": "others"}, "collection"),
        ({"created": datetime(2026, 1, 3, tzinfo=UTC)}, "time of the collection's creation"),
        ({"id": "key"}, "fields of records"),
        ({"encoding": "cp1252"}, "--encoding"),
        ({"delimiter": ";"}, "--delimiter"),
        ({"has_quotes": False}, "--quotes"),
    ]:
        with pytest.raises(
            CheckpointError, match=f"of another run, which differs in {what}; delete"
        ):
            checkpoint(**other).done()
    (tmp_path / "x.jsonl").write_text("{}\n{}")
    with pytest.raises(CheckpointError, match="differs in files; delete"):
        checkpoint().done()


def test_a_checkpoint_is_as_small_for_many_files_as_for_one(checkpoint, tmp_path):
    one = find_files([tmp_path / "x.jsonl"], Reading()).files
    sizes = []
    for files in (one, one * 10_000):
        made = Checkpoint.of(tmp_path / "resume.json", "docs", MADE, files, FieldMapping())
        made.save(Done(7, 7))
        assert made.done() == Done(7, 7)
        sizes.append((tmp_path / "resume.json").stat().st_size)
    assert sizes[0] == sizes[1] < 1_000


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": {}}'])
def test_a_file_of_something_else_is_left_alone(checkpoint, tmp_path, content):
    (tmp_path / "resume.json").write_text(content)
    with pytest.raises(CheckpointError, match="not a file of --resume; name another"):
        checkpoint().done()
    assert (tmp_path / "resume.json").read_text() == content
