"""Files that are one document: text of any encoding, and what is no text."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.commands.sources.records import LeftOut, Record


def text_of(folder, name, content, **reading):
    folder.write(name, content)
    (fields,) = folder.read(name, **reading)
    return fields


def reason_of(folder, name, content, **reading):
    folder.write(name, content)
    (item,) = folder.items(name, **reading)
    assert isinstance(item, LeftOut)
    return item.reason


def test_a_text_is_a_document_with_its_name_for_id_and_title(folder):
    assert text_of(folder, "tea time.txt", "one\r\ntwo\x0cthree\u2028\x0b\n") == {
        "id": "tea time.txt",
        "title": "tea time",
        "text": "one\r\ntwo\x0cthree\u2028\x0b\n",
        "path": "tea time.txt",
    }
    assert text_of(folder, "notes.txt.gz", gzip.compress(b"packed"))["title"] == "notes"
    assert text_of(folder, "v1.2", b"text", format="text")["title"] == "v1"


def test_names_that_many_folders_have_are_titled_with_their_folder(folder):
    for name in ("bash/README", "bash/copyright", "bash/intro.txt", "README", "a/CHANGES.md.gz"):
        folder.write(name, "text")
    assert [fields["title"] for fields in folder.read()] == [
        "README",
        "a CHANGES",
        "bash README",
        "bash copyright",
        "intro",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252", "utf-16-be"])
def test_encodings_are_told_by_a_byte_order_mark_or_by_name(folder, encoding):
    given = encoding if encoding in ("cp1252", "utf-16-be") else None
    fields = text_of(folder, "x.txt", "naïve café".encode(encoding), encoding=given)
    assert fields["text"] == "naïve café"


def test_another_encoding_is_named_with_its_line_and_the_way_out(folder):
    folder.write("x.txt", b"one\ntwo caf\xe9\n")
    assert folder.both("x.txt") == (
        [],
        [
            "x.txt:2: not UTF-8 (byte 0xE9); --encoding names another encoding, such as cp1252 "
            "(Western European)"
        ],
    )


def test_a_file_of_another_encoding_in_a_folder_is_read_by_itself_under_the_same_id(folder):
    folder.write("a/x.txt", b"caf\xe9")
    folder.write("y.txt", "café")
    records, (told,) = folder.both()
    assert [fields["id"] for fields in records] == ["y.txt"]
    assert told == (
        "a/x.txt:1: not UTF-8 (byte 0xE9); --include and --encoding, such as cp1252 "
        "(Western European), read it without the others"
    )
    (fields,) = folder.read(include=("a/x.txt",), encoding="cp1252")
    assert (fields["id"], fields["text"]) == ("a/x.txt", "café")


@pytest.mark.parametrize("name", ["x.txt", "x.md", "x.rst"])
def test_spaces_stand_for_single_nuls_of_a_pdf_and_it_is_told(folder, name):
    folder.write(name, "page one\0page two \x01 " * 30)
    told, record = folder.items(name)
    assert record.fields["text"] == "page one page two \x01 " * 30
    assert told.reason == "30 NUL characters, which no text can hold: spaces stand for them"
    assert (told.is_fault, told.num_records) == (False, 0)


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)) * 40, b"\x7fELF\x02\x01\x01" + bytes(500), "utf-16".encode("utf-16-le")],
    ids=["bytes", "program", "UTF-16 without a mark"],
)
def test_what_is_no_text_is_told(folder, content):
    assert reason_of(folder, "x.txt", content) == "binary, no text"
    folder.write("program", content)
    folder.write("text", "text")
    (folder.path / "x.txt").unlink()
    items = folder.items()
    assert [(item.where[-7:], item.reason, item.is_fault) for item in items[:1]] == [
        ("program", "binary, no text", False)
    ]
    assert items[1].fields["text"] == "text"


@pytest.mark.parametrize("name", ["x.txt", "x.md", "x.rst", "x.html"])
@pytest.mark.parametrize("content", [b"", b" \n\t\r\n", b"\xef\xbb\xbf", "\u3000".encode()])
def test_an_empty_file_is_named_and_no_fault(folder, name, content):
    folder.write(name, content)
    (item,) = folder.items(name)
    assert (item.reason, item.is_fault, item.num_records) == ("empty", False, 0)


@pytest.mark.parametrize("name", ["x.txt.gz", "x.md.gz", "x.html.gz"])
def test_of_a_cut_text_nothing_is_taken(folder, name):
    packed = gzip.compress(bytes(range(32, 127)) * 10)
    assert "gzip, but cut or damaged" in reason_of(folder, name, packed[:-20])


def test_a_text_that_is_too_long_is_named(folder, monkeypatch):
    monkeypatch.setattr("twopass.commands.sources.decoding.MAX_DOCUMENT_BYTES", 1_000)
    assert "too long for one document" in reason_of(folder, "x.txt", b"x" * 1_001)
    assert "too long" in reason_of(folder, "x.txt.gz", gzip.compress(b"x" * 1_001))
    assert text_of(folder, "x.txt", b"x" * 1_000)["text"] == "x" * 1_000


PIECES = [
    *("---\n", "+++\n", "a: b\n", "a=1\n", "# x\n", "```\n", "<!--", "-->", "<h1>", "</h1>"),
    *("<title>", "<pre>", "<nav>", "<p hidden>", "<main>", "x\n===\n", ".. x::\n", "PAR1"),
]


@pytest.mark.parametrize("name", ["x.txt", "x.md", "x.rst", "x.html", "x.parquet"])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(
    content=st.binary()
    | st.text("-+=#*_`~[]()<>!/&;:\"'{}|.\\ \t\r\n\0\x85\u2028aé").map(str.encode)
    | st.lists(st.sampled_from(PIECES)).map(lambda parts: "".join(parts).encode())
)
def test_no_bytes_raise(folder, name, content):
    folder.write(name, content)
    *others, last = folder.items(name)
    assert all(not isinstance(item, Record) and item.reason for item in others)
    assert isinstance(last, Record) or last.reason
