"""Which files are taken from what a user names, and what is said of everything else."""

import contextlib
import io
import json
import os
import socket
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import Record


def names(folder, *paths, **reading):
    found = find_files([folder.path / path for path in paths] or [folder.path], Reading(**reading))
    assert found.left_out == []
    return [file.name for file in found.files]


def left_out(folder, **reading):
    found = find_files([folder.path], Reading(**reading))
    return {
        item.where.removeprefix(f"{folder.path}/"): (item.kind, item.is_fault)
        for item in found.left_out
    }


def test_of_a_folder_texts_are_taken_by_name(folder):
    for name in ["b.md", "a.txt", "sub/c.MARKDOWN", "sub/d.rst", "e.html", "f.htm.gz", "README"]:
        folder.write(name, "text")
    for name in ["x.png", "y.jsonl", "z.csv", "W.JSON", "v.tar.gz"]:
        folder.write(name, "x")
    found = find_files([folder.path], Reading())
    assert [file.name for file in found.files] == [
        "README",
        "a.txt",
        "b.md",
        "e.html",
        "f.htm.gz",
        "sub/c.MARKDOWN",
        "sub/d.rst",
    ]
    assert found.num_other_kinds == {".png": 1, ".jsonl": 1, ".csv": 1, ".JSON": 1, ".tar": 1}
    assert found.left_out == []
    assert not any(file.is_named for file in found.files)


def test_a_folder_called_like_a_file_is_a_folder(folder):
    folder.write("x.md/y.md", "text")
    folder.write("z.jsonl/a.txt", "text")
    assert names(folder) == ["x.md/y.md", "z.jsonl/a.txt"]
    assert names(folder, "x.md") == ["y.md"]


def test_what_programs_keep_in_folders_is_never_entered(folder):
    kept = [".git", "node_modules", "__pycache__", ".venv", "sub/.hidden", "CVS"]
    for name in kept:
        folder.write(f"{name}/x.md", "text")
    folder.write("env/pyvenv.cfg", "home = /usr/bin")
    folder.write("env/lib/x.md", "text")
    folder.write(".notes.md", "text")
    folder.write(".gitignore", "*.o")
    folder.write("a.md", "text")
    told = left_out(folder)
    assert set(told) == {*kept, "env", ".notes.md"}
    assert not any(is_fault for _, is_fault in told.values())
    assert told[".git"][0] == told["sub/.hidden"][0] == "hidden folders"
    assert [file.name for file in find_files([folder.path], Reading()).files] == ["a.md"]


def test_a_hidden_folder_that_is_named_is_read(folder):
    folder.write(".notes/x.md", "text")
    assert names(folder, ".notes") == ["x.md"]


def test_links_are_followed_where_every_walk_ends(folder, tmp_path):
    folder.write("a.md", "text")
    folder.write("sub/b.md", "text")
    (tmp_path / "outside.md").write_text("text")
    (tmp_path / "elsewhere").mkdir()
    links = {
        "0-again.md": "a.md",
        "c.md": "../outside.md",
        "d.md": "../outside.md",
        "gone.md": "nothing.md",
        "itself.md": "itself.md",
        "sub/up": "..",
        "folder.md": "../elsewhere",
    }
    for name, target in links.items():
        (folder.path / name).symlink_to(target)
    found = find_files([folder.path], Reading())
    assert [file.name for file in found.files] == ["a.md", "c.md", "sub/b.md"]
    assert {where: kind for where, (kind, _) in left_out(folder).items()} == {
        "gone.md": "links to nothing",
        "itself.md": "links to nothing",
        "folder.md": "links to folders",
    }


def test_pipes_sockets_and_devices_are_never_opened(folder, monkeypatch):
    os.mkfifo(folder.path / "pipe.md")
    monkeypatch.chdir(folder.path)  # a socket's path may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.md")
    (folder.path / "device.md").symlink_to("/dev/zero")
    assert set(left_out(folder)) == {"pipe.md", "socket.md", "device.md", str(folder.path)}
    for name in ("socket.md", "device.md"):
        (item,) = folder.items(name)
        assert (item.reason, item.is_fault) == ("a socket or device, no file", True)
    (item,) = folder.items("pipe.md")
    assert item.reason.startswith("a pipe, whose --format must be told: one of jsonl, csv")


def test_a_pipe_that_took_the_place_of_a_file_is_not_opened(folder):
    path = folder.write("a.md", "text")
    (file,) = find_files([folder.path], Reading()).files
    path.unlink()
    os.mkfifo(path)
    (item,) = file.records()
    assert "no regular file any more" in item.reason


def test_a_pipe_whose_format_is_told_is_read(folder):
    os.mkfifo(folder.path / "pipe")
    writer = threading.Thread(target=(folder.path / "pipe").write_text, args=['{"id": "a"}\n'])
    writer.start()
    assert folder.read("pipe", format="jsonl") == [{"id": "a"}]
    writer.join()


def test_files_that_go_or_grow_meanwhile_are_told_or_read_whole(folder):
    gone = folder.write("gone.md", "text")
    grown = folder.write("grown.txt", "short")
    files = find_files([folder.path], Reading()).files
    gone.unlink()
    grown.write_text("short no more")
    (left,), (record,) = (list(file.records()) for file in files)
    assert (left.reason, left.is_fault) == ("it can't be read (No such file or directory)", False)
    assert record.fields["text"] == "short no more"


@pytest.fixture
def somebody():
    """Reads as a user who may not read everything, as root may."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(user)


def test_what_may_not_be_read_is_named(somebody):
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        (folder / "sub").mkdir(0o000)
        (folder / "a.md").touch(0o000)
        (folder / "b.md").touch(0o000)
        found = find_files([folder, folder / "a.md", folder / "sub" / "c.md"], Reading())
        told = [*found.left_out, *found.files[0].records(), *found.files[1].records()]
        assert [(item.where.removeprefix(path), item.reason, item.is_fault) for item in told] == [
            ("/sub", "it can't be read (Permission denied)", False),
            ("/sub/c.md", "it can't be read (Permission denied)", True),
            ("/a.md", "it can't be read (Permission denied)", True),
            ("/b.md", "it can't be read (Permission denied)", False),
        ]


def test_names_that_are_no_text_are_shown_by_escapes(folder):
    path = os.fsencode(folder.path)
    for name in (b"caf\xe9.txt", b"bad\xff.jsonl", b"line\nfeed.md"):
        with open(os.path.join(path, name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(b"{")
    found = find_files([folder.path], Reading(include=("*",)))
    assert [file.name for file in found.files] == [
        r"bad\xff.jsonl",
        r"caf\xe9.txt",
        r"line\x0afeed.md",
    ]
    (told,) = found.files[0].records()
    assert told.where.endswith(r"bad\xff.jsonl:1")
    told.where.encode()
    (record,) = found.files[1].records()
    assert record.fields["path"] == r"caf\xe9.txt"


def test_what_is_included_is_taken_instead_of_the_usual_kinds(folder):
    for name in ["a.md", "b.jsonl", "sub/c.py", "sub/deep/d.py", ".e.py", "f.PY"]:
        folder.write(name, '{"id": "x"}')
    assert names(folder, include=("*.py",)) == ["sub/c.py", "sub/deep/d.py"]
    assert names(folder, include=("sub/*.py",)) == ["sub/c.py"]
    assert names(folder, include=("**/*.py", "a.*")) == ["a.md", "sub/c.py", "sub/deep/d.py"]
    assert names(folder, include=("/*.jsonl",)) == ["b.jsonl"]
    assert names(folder, include=(".*.py",)) == [".e.py"]
    assert names(folder, include=("[ab].??*",)) == ["a.md", "b.jsonl"]
    assert names(folder, include=("[!a].*",)) == ["b.jsonl", "f.PY", "sub/c.py", "sub/deep/d.py"]
    folder.write("packed.JSONL.gz", "{}")
    assert names(folder, include=("*.JSONL",)) == ["packed.JSONL.gz"]
    assert names(folder, include=("*.gz",)) == ["packed.JSONL.gz"]
    formats = find_files([folder.path], Reading(include=("*",), exclude=("*.gz",))).files
    assert [file.format for file in formats] == ["markdown", "jsonl", "text", "text", "text"]


def test_what_is_excluded_is_left_out_without_a_word(folder):
    for name in ["a.md", "b.md", "drafts/c.md", "sub/drafts/d.md", "sub/e.md"]:
        folder.write(name, "text")
    assert names(folder, exclude=("drafts", "b.*")) == ["a.md", "sub/e.md"]
    assert names(folder, exclude=("drafts/",)) == ["a.md", "b.md", "sub/e.md"]
    assert names(folder, exclude=("/drafts",)) == ["a.md", "b.md", "sub/drafts/d.md", "sub/e.md"]
    assert names(folder, exclude=("sub/**", "./a.md")) == ["b.md", "drafts/c.md"]
    assert names(folder, include=("*.md",), exclude=("drafts",)) == ["a.md", "b.md", "sub/e.md"]


def test_of_a_folder_one_format_can_be_taken(folder):
    for name in ["a.md", "b.jsonl", "c.ndjson.gz", "d.txt", "LICENSE"]:
        folder.write(name, "{}")
    assert names(folder, format="jsonl") == ["b.jsonl", "c.ndjson.gz"]
    assert names(folder, format="text") == ["LICENSE", "d.txt"]
    included = find_files([folder.path], Reading(format="jsonl", include=("*.txt",))).files
    assert [(file.name, file.format) for file in included] == [("d.txt", "jsonl")]


def test_a_folder_without_files_to_read_says_what_it_holds(folder):
    (item,) = folder.items()
    assert (item.reason, item.is_fault) == ("there is no file to read in it", True)
    for name in ["a.py", "b.py", "c.c"]:
        folder.write(name, "x")
    (item,) = folder.items()
    assert item.reason == (
        "no file in it ends in .txt, .md, .markdown, .rst, .html, .htm, but 2 .py and 1 .c; "
        "--include '*.py' takes those"
    )
    (item,) = folder.items(include=("*.xyz",))
    assert item.reason == "no file in it matches *.xyz"


def test_what_is_named_and_no_source_is_a_fault(folder):
    (item,) = folder.items("nothing.jsonl")
    assert (item.reason, item.is_fault) == ("there is no such file", True)
    (folder.path / "link").symlink_to("nothing")
    (item,) = folder.items("link")
    assert (item.reason, item.is_fault) == ("a link to nothing, which is not there", True)
    folder.write("x.pdf", b"%PDF")
    (item,) = folder.items("x.pdf")
    assert item.reason.startswith(".pdf tells no format that is read; --format tells one")
    assert item.is_fault


def test_a_format_that_is_told_counts_more_than_a_suffix(folder):
    folder.write("rows.txt", '{"id": "a"}')
    folder.write("Makefile", "all:")
    folder.write("app.log", "started")
    assert folder.read("rows.txt", format="jsonl") == [{"id": "a"}]
    assert folder.read("app.log", format="text")[0]["text"] == "started"
    assert folder.read("Makefile")[0]["text"] == "all:"


def test_files_come_in_the_order_in_which_they_are_given(folder):
    for name in ("b", "a"):
        folder.write(f"{name}.jsonl", json.dumps({"id": name}))
    assert folder.read("b.jsonl", "a.jsonl") == [{"id": "b"}, {"id": "a"}]


def test_documents_of_equal_names_have_ids_of_their_own(folder):
    for name in ("a/README.md", "b/README.md", "b/sub/c.md"):
        folder.write(name, "text")
    expected = [str(folder.path / name) for name in ("a/README.md", "b/README.md")]
    assert names(folder, "a", "b") == [*expected, "sub/c.md"]
    assert names(folder, "a/README.md", "b/README.md") == expected
    assert names(folder, "a/README.md", "b/sub/c.md") == ["README.md", "c.md"]


def test_a_path_that_is_another_files_name_gives_both_ids_of_their_own(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    for name in ["r/notes/README.md", "notes/README.md", "other/README.md"]:
        folder.write(name, name)
    found = find_files([Path("r"), Path("notes"), Path("other")], Reading())
    assert {file.name: file.path.as_posix() for file in found.files} == {
        name: name for name in ["r/notes/README.md", "notes/README.md", "other/README.md"]
    }
    assert found.left_out == []


def test_of_files_whose_paths_are_shown_alike_the_second_is_refused(folder):
    folder.write("caf\\xe9.md", "one")
    os.close(os.open(os.fsencode(folder.path) + b"/caf\xe9.md", os.O_CREAT | os.O_WRONLY))
    found = find_files([folder.path], Reading())
    assert len(found.files) == 1
    (told,) = found.left_out
    assert told.is_fault
    assert "as that of another file; rename it" in told.reason


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    files=st.sets(st.lists(st.sampled_from("ab"), max_size=3).map("/".join), max_size=8),
    given_paths=st.lists(st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "."]), min_size=1),
)
def test_no_two_documents_ever_have_one_id(tmp_path_factory, files, given_paths):
    root = tmp_path_factory.mktemp("ids")
    for folder in ["a/a", "a/b", "b/a", *files]:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "x.md").write_text(folder)
    with contextlib.chdir(root):
        found = find_files(map(Path, given_paths), Reading())
        assert len({file.name for file in found.files}) == len(found.files)
        assert len({file.path.resolve() for file in found.files}) == len(found.files)


def test_a_reader_that_fails_ends_its_file_alone(folder):
    def read(file):
        yield Record(where=file.where, fields={"id": "a"}, num_bytes=1)
        raise KeyError("odd")

    folder.write("x.md", "text")
    (file,) = find_files([folder.path / "x.md"], Reading()).files
    first, told = replace(file, read=read).records()
    assert first.fields == {"id": "a"}
    assert told.is_fault
    assert told.reason == (
        "its reader failed, which is a fault of twopass (KeyError: 'odd'); "
        "what comes after one record is left out"
    )


def test_a_file_that_is_reached_twice_is_read_once(folder, monkeypatch):
    for name in ("a/b.md", "a/c.md"):
        folder.write(name, "text")
    monkeypatch.chdir(folder.path)
    paths = [Path("a"), folder.path / "a" / "b.md", Path("./a/../a/c.md")]
    found = find_files(paths, Reading())
    assert [(file.name, file.is_named) for file in found.files] == [("b.md", True), ("c.md", True)]


def test_a_path_that_is_given_twice_is_read_once(folder):
    folder.write("a.md", "text")
    (record, told) = sorted(folder.items("a.md", "a.md"), key=lambda item: hasattr(item, "reason"))
    assert record.fields["id"] == "a.md"
    assert (told.reason, told.is_fault) == ("given twice; it is read once", False)


def test_standard_input_is_read_as_the_format_that_is_told(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"id": "a"}\n{')))
    (file,) = find_files([Path("-")], Reading(format="jsonl")).files
    assert file.is_stream
    record, told = file.records()
    assert (record.fields, record.where) == ({"id": "a"}, "standard input:1")
    assert told.where == "standard input:2"
    assert not sys.stdin.closed
    (told,) = find_files([Path("-")], Reading()).left_out
    assert told.is_fault
    assert str(told).startswith("standard input: its --format must be told: one of jsonl, csv")


@pytest.mark.parametrize("format_", ["csv", "text", "parquet", "markdown", "html"])
def test_standard_input_can_have_every_format(monkeypatch, format_, folder):
    content = b"id,text\na,b\n"
    if format_ == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"id": ["a"], "text": ["b"]}), folder.path / "x")
        content = (folder.path / "x").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (file,) = find_files([Path("-")], Reading(format=format_)).files
    (record,) = file.records()
    is_rows = format_ in ("csv", "parquet")
    assert record.fields["id"] == ("a" if is_rows else "stdin")
