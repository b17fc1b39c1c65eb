"""JSON in lines, in arrays, over many lines: each object is a record, what is none is named."""

import codecs
import gzip
import json
import math
import tracemalloc

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from twopass.commands.sources.finding import find_files
from twopass.commands.sources.readers.growing_text import GrowingText
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import Record
from twopass.server.http.half_characters import with_whole_characters


def test_lines_end_at_line_feeds_alone(folder):
    # Other readers of lines end them at each of these.
    text = "a\u2028b\u2029c\x85d"
    line = json.dumps({"id": text}, ensure_ascii=False)
    folder.write("x.jsonl", f'{line}\r\n\x0b\n\n  {line}\n{{"id":\r"b"}}')
    assert folder.read("x.jsonl") == [{"id": text}, {"id": text}, {"id": "b"}]


def test_a_bad_line_is_named_and_the_next_one_read(folder):
    deep = b'{"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    lines = [
        b'{"id": "a"}',
        b'{"id": "b"',
        b'[{"id": "c"}]',
        b"7",
        b"null",
        b'{"id": "d"} {"id": e"}',
        b'{"id": "caf\xe9"}',
        deep,
        b'{"n": ' + b"9" * 5_000 + b"}",
        b'{"id": "nul \x00"}',
        b"\xff\xfe",
        b'{"id": "z"}',
    ]
    folder.write("x.jsonl", b"\n".join(lines))
    records, left_out = folder.both("x.jsonl")
    assert records == [{"id": "a"}, {"id": "d"}, {"id": "z"}]
    assert [told.partition(": ")[0] for told in left_out] == [f"x.jsonl:{n}" for n in range(2, 12)]
    for told, reason in zip(
        left_out,
        [
            "not JSON (Expecting ',' delimiter at column 11)",
            "a JSON array where an object is needed",
            "a JSON number where an object is needed",
            "a JSON null where an object is needed",
            "not JSON (Expecting value at column 20)",
            "not UTF-8 (byte 0xE9); --encoding names another encoding, such as cp1252",
            "JSON nested too deeply to be read",
            "a number that is too long to be read",
            "not JSON (Invalid control character at",
            "not UTF-8 (byte 0xFF)",
        ],
        strict=True,
    ):
        assert reason in told
    assert all(
        item.is_fault and item.num_records == 1
        for item in folder.items("x.jsonl")
        if not isinstance(item, Record)
    )


def test_objects_between_which_a_line_feed_is_missing_are_read(folder):
    folder.write("x.jsonl", '{"id": "a"}\n{"id": "b"}{"id": "c"} {"id": "d"}\n{"id": "e"}')
    items = folder.items("x.jsonl")
    assert [item.fields["id"] for item in items] == list("abcde")
    assert [item.where[-2:] for item in items] == [":1", ":2", ":2", ":2", ":3"]


@pytest.mark.parametrize(
    ("line", "ids", "reason"),
    [
        ('{"id": "a"} {"id": "b', "a", "not JSON (Unterminated string starting at column 20)"),
        ('{"id": "a"}{"id": "b"}}', "ab", "not JSON (Expecting value at column 23)"),
        ('{"id": "a"} 7 {"id": "b"}', "a", "a JSON number where an object is needed"),
    ],
)
def test_of_a_line_what_comes_before_damage_is_kept(folder, line, ids, reason):
    folder.write("x.jsonl", f'{{"id": "0"}}\n{line}\n{{"id": "z"}}\n')
    records, (told,) = folder.both("x.jsonl")
    assert [fields["id"] for fields in records] == ["0", *ids, "z"]
    assert told == f"x.jsonl:2: {reason}"


def test_values_are_what_they_are(folder):
    folder.write(
        "x.jsonl",
        '{"big": 123456789012345678901234567890, "huge": 1e400, "nan": NaN, "less": -Infinity,'
        ' "twice": 1, "twice": 2, "nul": "a\\u0000b", "": "no name"}',
    )
    (fields,) = folder.read("x.jsonl")
    assert math.isnan(fields.pop("nan"))
    assert fields == {
        "big": 123456789012345678901234567890,
        "huge": math.inf,
        "less": -math.inf,
        "twice": 2,
        "nul": "a\0b",
        "": "no name",
    }


def test_halves_of_characters_become_the_unknown_character(folder):
    folder.write("x.jsonl", r'{"cut": "so \ud83d", "whole": "\ud83d\ude00", "not": "\\ud83d"}')
    assert folder.read("x.jsonl") == [
        {"cut": "so \N{REPLACEMENT CHARACTER}", "whole": "\N{GRINNING FACE}", "not": r"\ud83d"}
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "cp1252"])
def test_encodings_are_told_by_a_byte_order_mark_or_by_name(folder, encoding):
    rows = [{"id": "café", "text": "naïve"}, {"id": "b"}]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    folder.write("x.jsonl", text.encode(encoding))
    is_marked = encoding in ("utf-8-sig", "utf-16", "utf-32")
    assert folder.read("x.jsonl", encoding=None if is_marked else encoding) == rows


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_of_wide_characters_that_is_cut_is_named(folder, encoding):
    text = '{"id": "a"}\n' * 200_000
    content = text.encode(encoding)[:-1] + b"\0\xd8"
    folder.write("x.jsonl", content)
    *records, last = folder.items("x.jsonl")
    assert records
    assert last.reason.startswith(f"not {encoding} (byte ")
    assert last.reason.endswith("records is left out")


def test_a_byte_order_mark_counts_more_than_what_is_given(folder):
    folder.write("x.jsonl", '{"id": "é"}'.encode("utf-8-sig"))
    assert folder.read("x.jsonl", encoding="cp1252") == [{"id": "é"}]


ROWS = [{"id": "a", "deep": {"x": [1, {"y": None}]}}, {"id": "b]},{"}, {}, {"id": "c"}]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n \t" + json.dumps(ROWS, indent=1) + "\n\n",
        "\n".join(json.dumps(row, indent=4) for row in ROWS),
        "".join(json.dumps(row, indent=4) for row in ROWS),
        "\r".join(json.dumps(row, indent=4).replace("\n", "\r") for row in ROWS),
        "\n".join(json.dumps([row]) for row in ROWS),
        json.dumps(ROWS[:2]) + "\n[]\n" + json.dumps(ROWS[2:]),
    ],
    ids=["array", "pretty array", "blanks", "pretty", "joined", "CR", "arrays", "empty array"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_arrays_and_objects_over_several_lines_are_read(folder, content, pack):
    folder.write("x.json", pack(content.encode()))
    assert folder.read("x.json") == ROWS


def test_objects_of_several_lines_are_named_by_their_first(folder):
    folder.write("x.json", '[\n{"id":\n"a"},\n\n{"id": "b"},\n"c"\n]\n')
    items = folder.items("x.json")
    assert [item.where.rpartition(":")[2] for item in items] == ["2", "5", "6"]
    assert items[2].reason == "a JSON string where an object is needed"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ('[{"id": "a"},\n{"id": "b"', 2, "Expecting ',' delimiter"),
        ('[{"id": "a"}\n', 2, "a JSON array that doesn't end"),
        ('[{"id": "a"},\n', 2, "a JSON array that doesn't end"),
        ('[{"id": "a"}\n{"id": "b"}]', 2, "a comma is missing"),
        ('{\n"id": "a"}\n\n{\n"id": b}', 5, "Expecting value"),
    ],
)
def test_what_comes_before_damage_is_kept(folder, content, line, reason):
    folder.write("x.json", content)
    records, (told,) = folder.both("x.json")
    assert records == [{"id": "a"}]
    assert told.startswith(f"x.json:{line}: ")
    assert reason in told
    assert told.endswith("; what comes after it is left out")


@pytest.mark.parametrize("first", ['{"id": "cut', '{"id":', "{", "not JSON", '{"id": "a"]'])
def test_a_cut_first_line_does_not_hide_the_others(folder, first):
    folder.write("x.jsonl", f'{first}\n{{"id": "b"}}\n{{"id": "c"}}\n')
    records, (told,) = folder.both("x.jsonl")
    assert records == [{"id": "b"}, {"id": "c"}]
    assert told.startswith("x.jsonl:1: not JSON (")


@pytest.mark.parametrize("content", ["", "\n", " \r\n\t\n", "\ufeff"])
def test_an_empty_file_is_named_and_no_fault(folder, content):
    folder.write("x.jsonl", content)
    (item,) = folder.items("x.jsonl")
    assert (item.reason, item.is_fault, item.num_records) == ("empty", False, 0)


def test_a_cut_gzip_gives_what_was_before_the_cut(folder):
    lines = b"".join(b'{"id": "%d"}\n' % n for n in range(50_000))
    packed = gzip.compress(lines)
    folder.write("x.jsonl.gz", packed[: len(packed) // 2])
    *records, last = folder.items("x.jsonl.gz")
    assert 1_000 < len(records) < 50_000
    assert [record.fields["id"] for record in records] == [str(n) for n in range(len(records))]
    assert "gzip, but cut or damaged" in last.reason
    first = f"the first {len(records):,} records"
    assert last.reason.endswith(f"; what comes after {first} is left out")
    assert last.is_fault


def test_a_damaged_gzip_is_named(folder):
    packed = bytearray(gzip.compress(b'{"id": "a"}\n' * 10))
    packed[15] ^= 0xFF
    folder.write("x.jsonl.gz", bytes(packed))
    assert "gzip, but cut or damaged" in folder.items("x.jsonl.gz")[-1].reason


def test_gzip_is_told_by_content_and_not_by_name(folder):
    folder.write("x.jsonl", gzip.compress(b'{"id": "a"}') + gzip.compress(b'\n{"id": "b"}'))
    folder.write("y.jsonl.gz", b'{"id": "c"}')
    assert folder.read("x.jsonl", "y.jsonl.gz") == [{"id": "a"}, {"id": "b"}, {"id": "c"}]


def test_a_line_that_is_too_long_for_memory_ends_the_file(folder, monkeypatch):
    for module in ("decoding", "readers.jsonl"):
        monkeypatch.setattr(f"twopass.commands.sources.{module}.MAX_DOCUMENT_BYTES", 1_000)
    folder.write("x.jsonl", '{"id": "a"}\n{"id": "' + "b" * 5_000 + '"}\n{"id": "c"}\n')
    records, (told,) = folder.both("x.jsonl")
    assert records == [{"id": "a"}]
    assert told.startswith("x.jsonl:2: a line of more than")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("first", ['{"id": "a"}\n', ""])
def test_a_line_that_is_too_long_is_told_in_every_encoding(folder, encoding, first):
    packed = gzip.compress((first + '{"id": "' + "b" * 80_000_000 + '"}\n').encode(encoding))
    folder.write("x.jsonl.gz", packed)
    records, (told,) = folder.both("x.jsonl.gz")
    assert len(records) == bool(first)
    assert told.startswith(f"x.jsonl.gz:{2 if first else 1}: a line of more than 64 MiB")


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_a_long_array_is_read_in_the_memory_of_a_part(folder, monkeypatch, indent):
    for module in ("decoding", "readers.jsonl", "readers.growing_text"):
        monkeypatch.setattr(f"twopass.commands.sources.{module}.MAX_DOCUMENT_BYTES", 1_000_000)
    rows = [{"id": str(n), "text": "é" * 500, "n": [n, 1.5]} for n in range(8_000)]
    folder.write("x.json", json.dumps(rows, indent=indent, ensure_ascii=False))
    (file,) = find_files([folder.path / "x.json"], Reading()).files
    tracemalloc.start()
    try:
        num_equal = sum(item.fields == row for item, row in zip(file.records(), rows, strict=True))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert num_equal == len(rows)
    assert most < 8_000_000  # less than the file has


def test_a_value_of_an_array_that_is_too_long_is_told(folder, monkeypatch):
    for module in ("decoding", "readers.jsonl", "readers.growing_text"):
        monkeypatch.setattr(f"twopass.commands.sources.{module}.MAX_DOCUMENT_BYTES", 100_000)
    folder.write("x.json", '[{"id": "a"},\n{"id": "' + "b" * 2_000_000 + '"}]')
    records, (told,) = folder.both("x.json")
    assert records == [{"id": "a"}]
    assert told.startswith("x.json:2: a value of more than")


def test_of_an_array_what_comes_before_another_encoding_is_kept(folder):
    folder.write("x.json", b'[{"id": "a"},\n{"id": "caf\xe9"}]')
    records, (told,) = folder.both("x.json")
    assert records == [{"id": "a"}]
    assert told.startswith("x.json:2: not UTF-8 (byte 0xE9); --encoding names another encoding")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100
)
@given(
    text=st.recursive(
        st.sampled_from(["1.5", "-12", "1e-7", "null", r'"\ud83d\ude00 é"', r'"\ud83d"', "NaN"]),
        lambda values: st.lists(values).map(lambda of: "[" + " ,".join(of) + "]"),
    ),
    num_bytes=st.integers(1, 5),
)
def test_how_a_text_is_cut_into_pieces_changes_no_value(monkeypatch_blocks, text, num_bytes):
    content = text.encode()
    pieces = (content[n : n + num_bytes] for n in range(0, len(content), num_bytes))
    growing = GrowingText(pieces, "utf-8", 1)
    growing.next_character()
    line, value = growing.next_value()
    assert (line, repr(value)) == (1, repr(json.loads(with_whole_characters(content))))
    assert growing.next_character() == ""


@pytest.fixture(scope="module")
def monkeypatch_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twopass.commands.sources.readers.growing_text._BLOCK_BYTES", 1)
        yield


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda values: st.lists(values) | st.dictionaries(TEXT, values),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(TEXT, JSON), min_size=1)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(
    rows=OBJECTS,
    is_ascii=st.booleans(),
    indent=st.none() | st.integers(0, 2),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    pack=st.sampled_from([bytes, gzip.compress]),
)
def test_what_is_written_is_read(folder, rows, is_ascii, indent, end, encoding, pack):
    # The first object tells whether objects have several lines; an empty one has one in any case.
    assume(indent is None or rows[0])
    text = end.join(json.dumps(row, ensure_ascii=is_ascii, indent=indent) for row in rows)
    folder.write("x.jsonl", pack(text.encode(encoding)))
    assert folder.read("x.jsonl") == rows


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(
    content=st.binary()
    | st.binary().map(codecs.BOM_UTF16.__add__)
    | st.text('{}[]",:\\u d81n\n\r').map(str.encode)
)
def test_no_bytes_raise(folder, content):
    folder.write("x.jsonl", content)
    items = folder.items("x.jsonl")
    assert items
    assert all(isinstance(item, Record) or item.reason for item in items)
