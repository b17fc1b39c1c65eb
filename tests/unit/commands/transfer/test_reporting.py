"""What a run says at its end, for people and for scripts."""

from datetime import UTC, datetime

import pytest

from twopass.client import UnavailableError, UpsertSummary
from twopass.commands.sources.records import LeftOut
from twopass.commands.transfer.indexing import Outcome
from twopass.commands.transfer.reporting import closing_lines, json_report
from twopass.commands.transfer.tally import Tally

from ...client_results import collection

COLLECTION = collection(
    num_documents=1_234_567, sequence="s", create_time=datetime(2026, 1, 1, tzinfo=UTC)
)


def left_out(kind, *, num_records=1, is_fault=True):
    return LeftOut(where="x:1", kind=kind, reason="r", num_records=num_records, is_fault=is_fault)


def outcome(*items, **counts):
    tally = Tally(**counts)
    for item in items:
        tally.leave_out(item)
    return Outcome(tally=tally, collection=COLLECTION)


def test_every_count_has_its_line_and_fits_60_columns():
    ended = outcome(
        *[left_out("lines that are not JSON")] * 3,
        left_out("documents that the server refused"),
        left_out("missing files", num_records=0),
        num_inserted=1_000_000,
        num_replaced=20,
        num_skipped=3,
        num_split=7,
        num_resumed=500,
        unused_fields=["b", "c"],
    )
    ended.tally.num_other_files.update({f".{letter}": 1 for letter in "abcdefg"})
    ended.tally.num_other_files.update({"": 1_000, ".png": 12})
    lines = list(closing_lines("docs", ended))
    assert max(map(len, lines)) <= 60
    assert lines == [
        "docs: 1,234,567 documents in all",
        "1,000,000 inserted",
        "       20 replaced",
        "        7 of these split for their length",
        "        3 left as they were, since their ids are known",
        "      500 done by an earlier run (--resume)",
        "        5 left out",
        "          lines that are not JSON: 3",
        "          documents that the server refused: 1",
        "          missing files: 1",
        "    1,019 files of other kinds; --include reads them",
        "          1,000 no suffix, 12 .png, 1 .a, 1 .b, 5 others",
        "fields not taken, since --metadata-field is set: b, c",
    ]


def test_one_file_of_another_kind_is_no_plural():
    ended = outcome(num_inserted=1)
    ended.tally.num_other_files[".bin"] = 1
    assert list(closing_lines("docs", ended))[2:] == [
        "        1 file of another kind; --include reads it",
        "          1 .bin",
    ]


def test_what_is_nothing_is_not_said_but_that_nothing_was_written():
    assert list(closing_lines("docs", outcome())) == [
        "docs: 1,234,567 documents in all",
        "        0 inserted",
    ]
    assert list(closing_lines("docs", Outcome())) == []


def test_a_script_gets_all_of_it_by_name():
    ended = outcome(left_out("lines that are not JSON"), num_inserted=2)
    ended.stopped_by = left_out("k")
    told = json_report("docs", ended)
    assert told["num_left_out_by_kind"] == {"lines that are not JSON": 1}
    assert told["left_out"] == [
        {
            "where": "x:1",
            "kind": "lines that are not JSON",
            "reason": "r",
            "num_records": 1,
            "is_fault": True,
        }
    ]
    assert told["stopped_by"]["kind"] == "k"
    assert (told["num_inserted"], told["num_documents"]) == (2, 1_234_567)


@pytest.mark.parametrize(
    ("ended", "is_success"),
    [
        (outcome(), True),
        (outcome(left_out("lines"), num_inserted=1), True),
        (outcome(left_out("lines"), num_resumed=1), True),
        (outcome(left_out("lines")), False),
        (outcome(left_out("links", num_records=0, is_fault=False)), True),
        (outcome(left_out("missing files", num_records=0), num_inserted=1), False),
        (Outcome(failure=UnavailableError("gone")), False),
        (Outcome(is_interrupted=True), False),
        (Outcome(stopped_by=left_out("lines")), False),
        (Outcome(missing_fields=["year"]), False),
    ],
)
def test_a_run_succeeds_where_all_that_was_named_is_done_but_for_skipped_records(ended, is_success):
    assert ended.is_success is is_success


def test_a_missing_file_is_a_failure_however_much_was_left_out_before_it():
    ended = outcome(*[left_out("lines")] * 10_001, num_inserted=1)
    assert ended.is_success
    ended.tally.leave_out(left_out("missing files", num_records=0))
    assert not ended.is_success


def test_how_much_a_collection_holds_is_not_told_where_it_is_not_known():
    ended = outcome(num_inserted=3_904)
    ended.collection = None
    assert list(closing_lines("docs", ended)) == ["    3,904 inserted"]
    assert json_report("docs", ended)["num_documents"] is None


def test_all_is_counted_though_only_the_first_10_000_are_kept():
    tally = Tally()
    for _ in range(10_001):
        tally.leave_out(left_out("lines"))
    assert (len(tally.left_out), tally.num_left_out["lines"]) == (10_000, 10_001)


def test_counts_of_a_call_are_added_as_they_grow():
    tally = Tally()
    first = UpsertSummary("s", 1, 10, 8, 2, 1, 3)
    tally.add(first, UpsertSummary())
    tally.add(UpsertSummary("t", 2, 15, 12, 3, 1, 4), first)
    assert (tally.num_inserted, tally.num_replaced, tally.num_skipped) == (12, 3, 1)
    assert (tally.num_split, tally.num_on_disk) == (4, 16)
