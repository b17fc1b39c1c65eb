"""How far a run has come is kept, and never taken for another run's."""

from datetime import UTC, datetime

import pytest

from twopass.commands.checkpoint import Checkpoint, CheckpointError
from twopass.commands.field_mapping import FieldMapping
from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading

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
    assert checkpoint().num_done() == 0
    checkpoint().save(512)
    checkpoint().save(768)
    assert checkpoint().num_done() == 768
    checkpoint().remove()
    checkpoint().remove()
    assert checkpoint().num_done() == 0


def test_a_file_of_another_run_is_refused(checkpoint, tmp_path):
    checkpoint().save(512)
    for other, what in [
        ({"collection": "others"}, "collection"),
        ({"created": datetime(2026, 1, 3, tzinfo=UTC)}, "created"),
        ({"id": "key"}, "mapping"),
    ]:
        with pytest.raises(CheckpointError, match=f"of another run, whose {what} differ; delete"):
            checkpoint(**other).num_done()
    (tmp_path / "x.jsonl").write_text("{}\n{}")
    with pytest.raises(CheckpointError, match="whose files differ"):
        checkpoint().num_done()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": {}}'])
def test_a_file_of_something_else_is_left_alone(checkpoint, tmp_path, content):
    (tmp_path / "resume.json").write_text(content)
    with pytest.raises(CheckpointError, match="not a file of --resume; name another"):
        checkpoint().num_done()
    assert (tmp_path / "resume.json").read_text() == content
