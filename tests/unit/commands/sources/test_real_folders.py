"""Folders as they grow on a machine: of every file it is known what became of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import Record

DOCS = Path("/usr/share/doc")
USUAL = ("", ".txt", ".md", ".markdown", ".rst", ".html", ".htm")


@pytest.fixture(params=["checkout", "usr-share-doc"])
def root(request, tmp_path):
    """A folder that nobody writes to meanwhile."""
    if request.param == "usr-share-doc":
        if not DOCS.is_dir():
            pytest.skip("there is no /usr/share/doc")
        return DOCS
    here = Path(__file__).parents[4]
    if not (here / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no checkout of Git")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", here, clone], check=True)
    parts = ["*.md", "*.py", "docs", "server/http", "tests/fuzz", "client"]
    subprocess.run(["git", "checkout", "-q", "HEAD", "--", *parts], check=True, cwd=clone)
    return clone


def test_every_file_is_taken_or_named_or_counted(root):
    found = find_files([root], Reading())
    taken = {file.path for file in found.files}
    named = {Path(item.where) for item in found.left_out}
    assert len(taken) == len(found.files)
    assert len({file.name for file in found.files}) == len(found.files)
    assert not taken & named
    known = {path.resolve() for path in taken}
    num_others = 0
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name not in named]
        for path in (here / name for name in files):
            suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
            is_passed_over = suffix in USUAL and path.is_symlink() and path.resolve() in known
            if path not in taken and path not in named and not is_passed_over:
                assert found.num_other_kinds[suffix] > 0, path
                num_others += 1
    assert num_others == found.num_other_kinds.total()
    assert not any(item.is_fault for item in found.left_out)


@pytest.mark.parametrize(
    "every", [pytest.param(1, id="all", marks=pytest.mark.slow), pytest.param(20, id="some")]
)
def test_every_file_becomes_a_document_or_says_why_not(root, every):
    files = find_files([root], Reading()).files[::every]
    num_documents = 0
    for file in files:
        *others, last = file.records()
        assert not any(isinstance(item, Record) for item in others)
        if isinstance(last, Record):
            num_documents += 1
            assert last.fields["id"] == file.name
            assert last.fields["title"].strip()
            assert last.fields["text"].strip()
            assert "\ufffd" not in last.fields["id"]
        else:
            assert last.reason
            assert not last.is_fault
    assert 0 < num_documents >= len(files) // 2
