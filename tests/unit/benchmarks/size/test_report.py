"""The report on size: which settings it chooses, and that it can be printed, kept and drawn."""

import io
import json

import pytest
from rich.console import Console

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.size.ingest import Ingest
from twopass.benchmarks.size.judged_words import JudgedWords
from twopass.benchmarks.size.picture import save_picture
from twopass.benchmarks.size.report import SizeReport, as_json, as_tables
from twopass.benchmarks.size.searches import KindReport, Searches, chosen

INGEST = Ingest(through_grpc=900, seconds=10, alone={"tokenise": 1_200, "write": 5_000})


def kind(name, *searches):
    words = (Searches("lexical", None, 4, 9, 50), Searches("hybrid ef_search=32", None, 5, 9, 40))
    return KindReport(
        name, 12.5, 3.0, 0.25, 2_000_000, 1_600_000, 3_000_000, 90_000, searches, words
    )


def searches(setting, recall, p50_ms):
    return Searches(setting, recall, p50_ms, 3 * p50_ms, 100)


HNSW = kind("HNSW32", searches("ef_search=16", 0.9, 1), searches("ef_search=32", 0.96, 2))
FLAT = kind("Flat", searches("exact", 1.0, 20))


@pytest.fixture
def report():
    words = JudgedWords(200, 0.6524, 12.5)
    return SizeReport(this_machine(), 1_000, 384, 50, INGEST, (FLAT, HNSW), words)


def test_ingest_is_held_against_its_slowest_stage():
    assert INGEST.slowest == "tokenise"
    assert INGEST.share == 0.75


def test_the_cheapest_setting_that_finds_enough_is_chosen():
    assert chosen(HNSW.searches).setting == "ef_search=32"
    assert chosen(FLAT.searches).setting == "exact"
    poor = kind("IVF4,Flat", searches("nprobe=1", 0.3, 1), searches("nprobe=2", 0.8, 2))
    assert chosen(poor.searches).setting == "nprobe=2"


def test_tables_show_each_kind_by_document(report):
    console = Console(width=160, file=io.StringIO())
    console.print(as_tables(report))
    text = console.file.getvalue()
    for shown in (
        "1,000 documents",
        "75% of the slowest alone",
        "2,000",
        "1,600",
        "3,000",
        "0.6524",
    ):
        assert shown in text
    assert "ef_search=16" in text
    assert "HNSW32 hybrid ef_search=32" in text


def test_json_holds_everything(report):
    content = json.loads(json.dumps(as_json(report)))
    assert content["ingest"]["share"] == 0.75
    assert content["kinds"][1]["searches"][0]["recall"] == 0.9


def test_the_picture_is_a_picture(report, tmp_path):
    save_picture(report, tmp_path / "size.png")
    assert (tmp_path / "size.png").read_bytes().startswith(b"\x89PNG")
