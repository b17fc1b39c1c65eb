"""Which moments of a server the crash tester can tell."""

import random
import threading

import pytest

from .moments import wait_for_moment


@pytest.mark.parametrize(
    ("path", "is_derived"),
    [
        ("notes/documents.sqlite-wal", False),
        ("notes/vectors.base.new", True),
        ("notes/words/meta.json", True),
    ],
)
def test_a_moment_of_derived_files_is_one_when_a_file_beside_the_documents_changes(
    tmp_path, path, is_derived
):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    seen: set[bool] = set()

    def write() -> None:
        while not done.wait(0.002):
            file.write_bytes(file.read_bytes() + b"x" if file.exists() else b"")

    done = threading.Event()
    writing = threading.Thread(target=write)
    writing.start()
    for seed in range(12):
        seen.add(wait_for_moment(tmp_path, 0.2, random.Random(seed)))
    done.set()
    writing.join()
    assert (True in seen) == is_derived


def test_where_nothing_is_written_a_moment_comes_all_the_same(tmp_path):
    assert not any(wait_for_moment(tmp_path, 0.01, random.Random(seed)) for seed in range(10))
