"""What the crash tester does to files while no server runs."""

import json
import random

from .damage import meddle

FILES = {
    "notes/documents.sqlite": b"documents",
    "notes/vectors.base": b"vectors of documents",
    "notes/words-1/header.json": b'{"analysis": "1"}',
    "notes/words-1/meta.json": b"{}",
}


def test_derived_files_are_damaged_lost_or_outdated_and_documents_never(tmp_path):
    done = set()
    for seed in range(400):
        folder = tmp_path / str(seed)
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        said = meddle(folder, random.Random(seed))
        assert (folder / "notes/documents.sqlite").read_bytes() == b"documents"
        changed = [
            name
            for name, content in FILES.items()
            if not (folder / name).exists() or (folder / name).read_bytes() != content
        ]
        assert len(changed) == bool(said)
        if "analysis" in said:
            header = json.loads((folder / "notes/words-1/header.json").read_bytes())
            assert header["analysis"] == "not 1"
        done.add(said.rpartition(" was ")[2])
    assert done == {"", "cut off", "altered", "lost", "made one of another analysis"}


def test_where_there_are_no_derived_files_nothing_is_done(tmp_path):
    assert {meddle(tmp_path, random.Random(seed)) for seed in range(30)} == {""}
