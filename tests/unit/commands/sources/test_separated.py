"""CSV as programs write it: delimiters, quotes, encodings, and rows that don't fit."""

import codecs
import csv
import gzip
import io
import tracemalloc

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from twopass.commands.sources.records import Record

ROWS = [{"id": "a", "text": "one; two, three"}, {"id": "b", "text": 'said "so"'}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz"])
def test_the_delimiter_is_found_in_the_beginning(folder, delimiter, suffix):
    rows = [{"id": str(n), "text": "a; b, c| d", "n": "1,5"} for n in range(300)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["id", "text", "n"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    pack = gzip.compress if suffix.endswith("gz") else bytes
    folder.write(f"x.{suffix}", pack(text.getvalue().encode()))
    assert folder.read(f"x.{suffix}") == rows


def test_the_delimiter_can_be_told(folder):
    folder.write("x.csv", "id,a~text,b\n1,2~3,4\n")
    assert folder.read("x.csv", delimiter="~") == [{"id,a": "1,2", "text,b": "3,4"}]


def test_the_line_that_tells_spreadsheets_the_delimiter_is_no_row(folder):
    folder.write("x.csv", "sep=~\r\nid~text\r\na~b\r\nc\r\n")
    records, (told,) = folder.both("x.csv")
    assert records == [{"id": "a", "text": "b"}]
    assert told.startswith("x.csv:4: a row of 1 field")


@pytest.mark.parametrize("content", ["text\na\nb\n", "text\na, b\nc\n"])
def test_a_single_column_needs_no_delimiter(folder, content):
    folder.write("x.csv", content)
    records, left_out = folder.both("x.csv")
    assert len(records) + len(left_out) == 2
    assert records[-1] == {"text": content[-2]}


def test_rows_are_named_by_the_line_they_begin_at(folder):
    folder.write("x.csv", 'id,text\n\na,"one\ntwo\r\n\nthree"\nb\nc,d,e\nf,g\n')
    records, left_out = folder.both("x.csv")
    assert records == [{"id": "a", "text": "one\ntwo\r\n\nthree"}, {"id": "f", "text": "g"}]
    assert left_out == [
        "x.csv:7: a row of 1 field, where the first row names 2",
        "x.csv:8: a row of 3 fields, where the first row names 2",
    ]
    assert [item.where[-2:] for item in folder.items("x.csv")] == [":3", ":7", ":8", ":9"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('c,"d', "a quote that is opened in this row is never closed"),
        ('c,"d"e', "more text after a closing quote; quotes within"),
        ('c,"', "a quote that is opened in this row is never closed"),
    ],
)
@pytest.mark.parametrize("num_after", [0, 1, 2, 50_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_after_a_broken_quote_the_next_line_is_read(folder, row, reason, num_after, end):
    rows = [f"{n},after" for n in range(num_after)]
    folder.write("x.csv", end.join(["id,text", "a,b", row, *rows, ""]))
    items = folder.items("x.csv")
    told = items.pop(1)
    assert told.where.endswith("x.csv:3")
    assert told.reason.startswith(reason)
    assert (told.is_fault, told.num_records) == (True, 1)
    assert [item.fields["id"] for item in items] == ["a", *map(str, range(num_after))]
    assert [int(item.where.rpartition(":")[2]) for item in items] == [2, *range(4, 4 + num_after)]


def test_a_quote_that_a_later_row_closes_hides_no_row(folder):
    folder.write("x.csv", 'id,text\na,"b\nc,d\ne,"f\ng"\nh,i\n')
    records, (told,) = folder.both("x.csv")
    assert records == [
        {"id": "c", "text": "d"},
        {"id": "e", "text": "f\ng"},
        {"id": "h", "text": "i"},
    ]
    assert told.startswith("x.csv:2: more text after a closing quote")


def test_a_broken_quote_among_the_names_ends_the_file(folder):
    folder.write("x.csv", 'id,"text\na,b\n')
    records, (told,) = folder.both("x.csv")
    assert records == []
    assert told == "x.csv:1: a quote that is opened in this row is never closed"


def test_rows_that_swallow_each_other_are_not_read_again_without_end(folder, monkeypatch):
    monkeypatch.setattr("twopass.commands.sources.readers.rereading._MAX_REREAD_CHARS", 1_000)
    folder.write("x.csv", "id,text\n" + 'a","b\n' * 1_000)
    *_, last = items = folder.items("x.csv")
    assert len(items) < 100
    assert "; left out with it: " in last.reason


def test_quotes_are_text_where_the_beginning_of_a_file_with_tabs_shows_it(folder):
    rows = [{"id": str(n), "text": '"Tea" for two'} for n in range(5)]
    lines = "".join(f"{row['id']}\t{row['text']}\n" for row in rows)
    folder.write("x.tsv", "id\ttext\n" + lines)
    assert folder.read("x.tsv") == rows


def test_quotes_enclose_fields_where_a_file_with_tabs_is_whole_with_them(folder):
    folder.write("x.tsv", 'id\ttext\na\t"b ""c""\td\ne"\nf\tg\n')
    assert folder.read("x.tsv") == [{"id": "a", "text": 'b "c"\td\ne'}, {"id": "f", "text": "g"}]


def test_that_quotes_are_text_can_be_told(folder):
    folder.write("x.csv", 'id,text\na,"b" c\nd,"e\nf,"g"\n')
    assert folder.read("x.csv", has_quotes=False) == [
        {"id": "a", "text": '"b" c'},
        {"id": "d", "text": '"e'},
        {"id": "f", "text": '"g"'},
    ]
    folder.write("y.tsv", 'id\ttext\na\t"b" c\nd\te\n')
    records, (told,) = folder.both("y.tsv", has_quotes=True)
    assert records == [{"id": "d", "text": "e"}]
    assert told.startswith("y.tsv:2: more text after a closing quote")


def test_two_columns_of_one_name_are_a_fault_of_the_file(folder):
    folder.write("x.csv", "id,text,text\na,b,c\n")
    assert folder.both("x.csv") == (
        [],
        ["x.csv:1: several columns are called 'text'; rename all but one"],
    )


def test_columns_without_a_name_are_told_and_left_out(folder):
    folder.write("x.csv", ",id, text ,\n0,a,b,\n1,c,d,\n")
    records, left_out = folder.both("x.csv")
    assert records == [{"id": "a", "text": "b"}, {"id": "c", "text": "d"}]
    assert left_out == ["x.csv:1: columns 1, 4 have no names: their values are left out"]
    assert not folder.items("x.csv")[0].is_fault


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "sep=;\n"])
def test_an_empty_file_is_named_and_no_fault(folder, content):
    folder.write("x.csv", content)
    (item,) = folder.items("x.csv")
    assert (item.reason, item.is_fault) == ("empty", False)


def test_names_alone_are_no_records(folder):
    folder.write("x.csv", "id,text\n")
    assert folder.read("x.csv") == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_told_by_a_byte_order_mark_or_by_name(folder, encoding):
    folder.write("x.csv", "id;text\r\né;naïve\r\n".encode(encoding))
    given = "cp1252" if encoding == "cp1252" else None
    assert folder.read("x.csv", encoding=given) == [{"id": "é", "text": "naïve"}]


def test_a_row_of_another_encoding_is_named_and_the_next_one_read(folder):
    folder.write("x.csv", b"id,text\na,caf\xe9\nb,c\xc3\xa9\n")
    records, (told,) = folder.both("x.csv")
    assert records == [{"id": "b", "text": "cé"}]
    assert told.startswith("x.csv:2: not UTF-8 (byte 0xE9); --encoding names another encoding")


def test_odd_characters_stand_in_fields_as_they_are(folder):
    folder.write("x.csv", "id,text\na,nul\0 vt\x0b ls\u2028 nel\x85 ff\x0c\n")
    assert folder.read("x.csv") == [{"id": "a", "text": "nul\0 vt\x0b ls\u2028 nel\x85 ff\x0c"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(folder, end):
    folder.write("x.csv", end.join(["id,text", "a,b", 'c,"d"']))
    assert folder.read("x.csv") == [{"id": "a", "text": "b"}, {"id": "c", "text": "d"}]


def test_a_row_that_is_too_long_for_memory_is_named_and_the_next_line_read(folder, monkeypatch):
    monkeypatch.setattr("twopass.commands.sources.readers.separated.MAX_DOCUMENT_BYTES", 200_000)
    after = "".join(f"{n},f\n" for n in range(100_000))
    folder.write("x.csv", 'id,text\na,b\nc,"d\n' + after)
    records, (told,) = folder.both("x.csv")
    assert [fields["id"] for fields in records] == ["a", *map(str, range(100_000))]
    assert told.startswith("x.csv:3: a row of more than")


@pytest.mark.parametrize("first", ["id,text\na,b\n", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_that_is_too_long_for_memory_ends_the_file(folder, first, encoding):
    packed = gzip.compress((first + "x" * 80_000_000).encode(encoding))
    folder.write("x.csv.gz", packed)
    tracemalloc.start()
    try:
        records, (told,) = folder.both("x.csv.gz")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert records == ([{"id": "a", "text": "b"}] if first else [])
    assert told.startswith(f"x.csv.gz:{3 if first else 1}: a line of more than 64 MiB")
    assert most < 100 * 1024**2


FIELD = st.text(st.characters(codec="utf-8"))
NAME = FIELD.map(str.strip).filter(bool)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(
    names=st.lists(NAME, min_size=2, max_size=4, unique=True),
    fields=st.lists(FIELD, max_size=40),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_is_written_is_read(folder, names, fields, delimiter, end, quoting):
    width = len(names)
    rows = [fields[n : n + width] for n in range(0, len(fields) // width * width, width)]
    assume(not names[0].startswith(("\ufeff", "sep=")))
    # Python's writer puts no quotes around a lone carriage return, which its reader ends a row at.
    assume(quoting == csv.QUOTE_ALL or not any("\r" in field for field in [*names, *fields]))
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(
        [names, *rows]
    )
    folder.write("x.csv", text.getvalue())
    assert folder.read("x.csv", delimiter=delimiter) == [
        dict(zip(names, row, strict=True)) for row in rows
    ]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(
    content=st.binary()
    | st.binary().map(codecs.BOM_UTF16.__add__)
    | st.text('"a,;\n\r\t\0').map(str.encode)
)
def test_no_bytes_raise(folder, content):
    folder.write("x.csv", content)
    assert all(isinstance(item, Record) or item.reason for item in folder.items("x.csv"))
