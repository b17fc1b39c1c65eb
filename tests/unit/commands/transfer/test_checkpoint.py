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

    def make(collection="docs", created=MADE, **mapping):
        files = find_files([tmp_path / "x.jsonl"], Reading()).files
        path = tmp_path / "resume.json"
        return Checkpoint.of(path, collection, created, files, FieldMapping(**mapping))

    return make


def test_a_run_goes_on_where_the_one_before_it_was_interrupted(checkpoint):
    assert checkpoint().done().num_done == 0
    checkpoint().save(Done(512))
    refused = LeftOut(where="x.jsonl:7", kind="k", reason="r")
    checkpoint().save(Done(768, (refused,)))
    assert checkpoint().done() == Done(768, (refused,))
    assert checkpoint().done().num_done == 768
    checkpoint().remove()
    checkpoint().remove()
    assert checkpoint().done().num_done == 0


def test_a_file_of_another_run_is_refused(checkpoint, tmp_path):
    checkpoint().save(Done(512))
    for other, what in [
        ({"collection": "others"}, "collection"),
        ({"created": datetime(2026, 1, 3, tzinfo=UTC)}, "created"),
        ({"id": "key"}, "mapping"),
    ]:
        with pytest.raises(CheckpointError, match=f"of another run, whose {what} differ; delete"):
            checkpoint(**other).done()
    (tmp_path / "x.jsonl").write_text("{}\n{}")
    with pytest.raises(CheckpointError, match="whose files differ"):
        checkpoint().done()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": {}}'])
def test_a_file_of_something_else_is_left_alone(checkpoint, tmp_path, content):
    (tmp_path / "resume.json").write_text(content)
    with pytest.raises(CheckpointError, match="not a file of --resume; name another"):
        checkpoint().done()
    assert (tmp_path / "resume.json").read_text() == content
