"""Files become records: which, in what order, and what is said of those that can't be read."""

import gzip
import json
import re

import pyarrow
import pytest
from pyarrow import parquet

from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import Record


def items(*paths):
    found = find_files(paths, Reading())
    return found.left_out + [item for file in found.files for item in file.records()]


def read(*paths):
    return [dict(item.fields) for item in items(*paths) if isinstance(item, Record)]


def left_out(*paths):
    return [str(item) for item in items(*paths) if not isinstance(item, Record)]


ROWS = [{"id": "a", "text": "one, two\nthree"}, {"id": "b", "text": 'said "so"'}]


@pytest.fixture(params=["jsonl", "ndjson", "jsonl.gz", "csv", "csv.gz", "tsv", "parquet"])
def file(request, tmp_path):
    path = tmp_path / f"rows.{request.param}"
    kind = request.param.removesuffix(".gz")
    if kind == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
        return path
    if kind in ("csv", "tsv"):
        separator = "," if kind == "csv" else "\t"
        quoted = [['"' + value.replace('"', '""') + '"' for value in row.values()] for row in ROWS]
        text = "\r\n".join(separator.join(row) for row in [["id", "text"], *quoted])
    else:
        text = "\n\n".join(map(json.dumps, ROWS))
    packed = gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode()
    path.write_bytes(packed)
    return path


def test_every_format_gives_the_same_records(file):
    assert read(file) == ROWS
    records = items(file)
    assert all(str(file) in record.where for record in records)
    assert 0 < records[-1].num_bytes <= file.stat().st_size


def test_a_folder_is_its_texts_by_name_with_titles(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.md").write_text("# The title\n\nbody")
    (tmp_path / "a.txt").write_text("# no heading here")
    (tmp_path / "sub" / "c.MARKDOWN").write_text("body alone")
    (tmp_path / "empty.md").write_text(" \n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [(r["id"], r["title"], r["path"]) for r in read(tmp_path)] == [
        ("a.txt", "a", "a.txt"),
        ("b.md", "The title", "b.md"),
        ("sub/c.MARKDOWN", "c", "sub/c.MARKDOWN"),
    ]


def test_files_come_in_the_order_in_which_they_are_given(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": name}))
    assert read(tmp_path / "b.jsonl", tmp_path / "a.jsonl") == [{"id": "b"}, {"id": "a"}]


def test_a_text_beyond_what_csv_usually_allows_is_read(tmp_path):
    (tmp_path / "long.csv").write_text(f"id,text\na,{'x' * 300_000}\n")
    assert len(read(tmp_path / "long.csv")[0]["text"]) == 300_000


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    (tmp_path / "excel.csv").write_bytes(b"\xef\xbb\xbfid,text\r\na,x\r\n")
    assert read(tmp_path / "excel.csv") == [{"id": "a", "text": "x"}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", b'{"id": "a"}\n{', r"x\.jsonl:2: not JSON"),
        ("x.jsonl", b"[1]", r"x\.jsonl:1: a JSON list, an object is needed"),
        ("x.csv", b"id,text\na\n", r"x\.csv:2: a row of another length"),
        ("x.csv", b"id,text\na,b,c\n", r"x\.csv:2: a row of another length"),
        ("x.csv", b'id,text\na,"b', r"x\.csv:\d: not CSV"),
        ("x.csv", b"id,text\na,\xff\n", r"x\.csv:\d: not CSV"),
        ("x.txt", b"\xff", r"x\.txt: not UTF-8"),
        ("x.parquet", b"PAR1 not quite", r"x\.parquet: not Parquet"),
    ],
)
def test_what_can_not_be_read_is_named_with_its_place(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    (told,) = left_out(tmp_path / name)
    assert re.search(said, told)


def test_what_is_no_source_is_named(tmp_path):
    (told,) = left_out(tmp_path / "nothing.jsonl")
    assert told.endswith("nothing.jsonl: there is no such file")
    (told,) = left_out(tmp_path)
    assert told.endswith("no file in it is of a kind that is read")
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    (told,) = left_out(tmp_path / "x.pdf")
    assert "of no known format; known: JSONL" in told
