"""What becomes of each type of Parquet, and of files that are damaged."""

import datetime
import gzip
import io
import math
import sys
import tracemalloc
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from twopass.commands.sources.records import Record

UTC = datetime.UTC
AT = datetime.datetime(2024, 2, 29, 13, 37, 0, 500_000)
DAY = datetime.date(2024, 2, 29)


@pytest.mark.parametrize(
    ("array", "becomes"),
    [
        (pa.array([True, None]), [True, None]),
        (pa.array([-(2**63), 2**63 - 1]), [-(2**63), 2**63 - 1]),
        (pa.array([2**64 - 1, 0], pa.uint64()), [2**64 - 1, 0]),
        (pa.array([1.5, math.inf]), [1.5, math.inf]),
        (pa.array(["é\0", ""]), ["é\0", ""]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.nulls(2), [None, None]),
        (pa.array([DAY, None]), ["2024-02-29", None]),
        (pa.array([AT.time(), None]), ["13:37:00.500000", None]),
        (pa.array([AT, None]), ["2024-02-29T13:37:00.500000", None]),
        (
            pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns")),
            ["2023-11-14T22:13:20.123456789", None],
        ),
        (
            pa.array([AT.replace(tzinfo=UTC), None], pa.timestamp("us", "Europe/Paris")),
            ["2024-02-29T13:37:00.500000Z", None],
        ),
        (pa.array([1_500, 2_000], pa.duration("ms")), [1.5, 2]),
        (pa.array([Decimal("12.30"), Decimal("5.00")]), [12.3, 5]),
        (
            pa.array([Decimal("12345678901234567890.12"), None]),
            ["12345678901234567890.12", None],
        ),
        (pa.array([b"text", b"caf\xc3\xa9"]), ["text", "café"]),
        (pa.array([[DAY], []]), [["2024-02-29"], []]),
        (pa.array([[[AT], None], None]), [[["2024-02-29T13:37:00.500000"], None], None]),
        (pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)), [[1.0, 2.0], None]),
        (
            pa.array([{"at": AT, "n": Decimal("1.5")}, {"at": None, "n": None}]),
            [{"at": "2024-02-29T13:37:00.500000", "n": 1.5}, {"at": None, "n": None}],
        ),
        (
            pa.array([[("k", DAY)], None], pa.map_(pa.string(), pa.date32())),
            [{"k": "2024-02-29"}, None],
        ),
        (
            pa.array([[(1, "one")], []], pa.map_(pa.int32(), pa.string())),
            [[{"key": 1, "value": "one"}], []],
        ),
        (
            pa.ExtensionArray.from_storage(
                pa.uuid(), pa.array([uuid.UUID(int=1).bytes, None], pa.binary(16))
            ),
            ["00000000-0000-0000-0000-000000000001", None],
        ),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array | pa.ExtensionArray) else "",
)
def test_values_become_those_of_json(folder, array, becomes):
    parquet.write_table(pa.table({"value": array}), folder.path / "x.parquet")
    values = [fields["value"] for fields in folder.read("x.parquet")]
    assert values == becomes
    assert list(map(type, values)) == list(map(type, becomes))


def test_what_is_not_a_number_stays_so(folder):
    parquet.write_table(pa.table({"value": pa.array([math.nan])}), folder.path / "x.parquet")
    assert math.isnan(folder.read("x.parquet")[0]["value"])


def test_bytes_that_are_no_text_are_told_once_a_column(folder):
    table = pa.table({"id": ["a", "b", "c"], "image": [b"\xff\xd8", b"\xff", b"text"]})
    parquet.write_table(table, folder.path / "x.parquet")
    records, left_out = folder.both("x.parquet")
    assert [fields["image"] for fields in records] == [None, None, "text"]
    assert left_out == [
        "x.parquet: column 'image': 2 values are bytes that are not UTF-8 text, and left out"
    ]
    assert not folder.items("x.parquet")[-1].is_fault


def invalid(values, kind):
    """An array of text in which bytes may be anything."""
    binary = pa.array(values, pa.large_binary() if kind == pa.large_string() else pa.binary())
    return pa.Array.from_buffers(kind, len(values), binary.buffers())


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize("bad", [[0], [1_023], [1_024, 2_999], [5, 6, 7, 2_000], []])
def test_a_text_that_is_not_utf_8_leaves_out_its_row_alone(folder, kind, bad):
    texts = [b"caf\xe9" if n in bad else f"é {n}".encode() for n in range(3_000)]
    ids = [str(n) for n in range(3_000)]
    table = pa.table({"id": ids, "text": invalid(texts, kind)})
    parquet.write_table(table, folder.path / "x.parquet")
    records, left_out = folder.both("x.parquet")
    assert [fields["id"] for fields in records] == [n for n in ids if int(n) not in bad]
    assert all(fields["text"] == f"é {fields['id']}" for fields in records)
    assert left_out == [
        f"x.parquet: row {n + 1}: column 'text': not UTF-8 (byte 0xE9), which text of Parquet is; "
        "columns of bytes may be anything"
        for n in bad
    ]
    faults = [item for item in folder.items("x.parquet") if not isinstance(item, Record)]
    assert all(item.is_fault and item.num_records == 1 for item in faults)


def test_a_value_within_others_that_is_not_utf_8_leaves_out_its_row_alone(folder):
    texts = pa.ListArray.from_arrays([0, 1, 3], invalid([b"a", b"\xff", b"c"], pa.string()))
    parquet.write_table(pa.table({"id": ["a", "b"], "tags": texts}), folder.path / "x.parquet")
    records, (told,) = folder.both("x.parquet")
    assert records == [{"id": "a", "tags": ["a"]}]
    assert told.startswith("x.parquet: row 2: column 'tags': not UTF-8 (byte 0xFF)")


def test_a_column_that_has_no_value_in_json_is_told(folder):
    table = pa.table({"id": ["a"], "image": [[{"deep": b"\xff"}]]})
    parquet.write_table(table, folder.path / "x.parquet")
    records, (told,) = folder.both("x.parquet")
    assert records == [{"id": "a", "image": [{"deep": None}]}]
    assert "column 'image': 1 value is bytes" in told


def test_two_columns_of_one_name_are_a_fault_of_the_file(folder):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["id", "id"])
    parquet.write_table(table, folder.path / "x.parquet")
    assert folder.both("x.parquet") == (
        [],
        ["x.parquet: several columns are called 'id'; rename all but one"],
    )


def test_rows_are_counted_from_one_over_row_groups(folder):
    table = pa.table({"id": [str(n) for n in range(5_000)]})
    parquet.write_table(table, folder.path / "x.parquet", row_group_size=700)
    items = folder.items("x.parquet")
    assert [item.fields["id"] for item in items] == table["id"].to_pylist()
    assert items[-1].where.endswith("x.parquet: row 5000")
    assert items[-1].num_bytes == (folder.path / "x.parquet").stat().st_size


def test_a_packed_file_is_unpacked(folder):
    content = io.BytesIO()
    parquet.write_table(pa.table({"id": ["a"]}), content)
    folder.write("x.parquet.gz", gzip.compress(content.getvalue()))
    assert folder.read("x.parquet.gz") == [{"id": "a"}]


@pytest.mark.parametrize("is_packed", [True, False])
def test_what_is_no_table_is_told_before_it_is_read(folder, is_packed):
    content = bytes(200_000_000)
    folder.write("x.parquet", gzip.compress(content, 1) if is_packed else content)
    del content
    tracemalloc.start()
    try:
        (told,) = folder.both("x.parquet")[1]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told == "x.parquet: not Parquet (it doesn't begin with PAR1)"
    assert most < 2_000_000


def test_what_must_be_held_as_a_whole_has_a_bound(folder, monkeypatch):
    monkeypatch.setattr("twopass.commands.sources.readers.parquet._MAX_WHOLE_BYTES", 3_000_000)
    folder.write("x.parquet.gz", gzip.compress(b"PAR1" + bytes(50_000_000)))
    records, (told,) = folder.both("x.parquet.gz")
    assert records == []
    assert told.startswith("x.parquet.gz: more than 2 MiB unpacked")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 not quite", b"id,text\n", b"\0" * 100])
def test_a_file_that_is_no_parquet_is_named(folder, content):
    folder.write("x.parquet", content)
    records, (told,) = folder.both("x.parquet")
    assert records == []
    assert told.startswith("x.parquet: not Parquet") or told == "x.parquet: empty"


def test_rows_before_damage_are_kept(folder):
    table = pa.table({"id": [str(n) for n in range(20_000)]})
    parquet.write_table(
        table, folder.path / "x.parquet", row_group_size=5_000, use_dictionary=False
    )
    content = bytearray((folder.path / "x.parquet").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = b"\xff" * 20_000
    folder.write("x.parquet", bytes(content))
    *records, last = folder.items("x.parquet")
    assert 0 < len(records) < 20_000
    assert [record.fields["id"] for record in records] == [str(n) for n in range(len(records))]
    assert last.where.endswith(f"x.parquet: row {len(records) + 1}")
    assert last.reason.endswith("; what comes after it is left out")


def test_without_pyarrow_it_is_told_how_to_get_it(folder, monkeypatch):
    folder.write("x.parquet", b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert folder.both("x.parquet")[1][0].startswith("x.parquet: Parquet needs pyarrow")
