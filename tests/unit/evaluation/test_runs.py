"""Test collections beside each other, and orders as other programs read them."""

from pathlib import Path

import ir_measures
import pytest

from twopass.evaluation.datasets import DatasetError
from twopass.evaluation.runs import ensure_apart, write_run

from ..client_results import search_result


def test_a_run_that_other_programs_read_has_the_order_of_the_hits_however_many(tmp_path):
    names = [f"d{number:04}" for number in range(2_048)][::-1]
    file = tmp_path / "runs" / "set.trec"
    write_run(file, {"q": search_result(*names), "none": search_result()}, "hybrid")
    read = list(ir_measures.read_trec_run(str(file)))
    assert {each.query_id for each in read} == {"q"}
    by_score = sorted(read, key=lambda each: (-each.score, each.doc_id))
    assert [each.doc_id for each in by_score] == names


@pytest.mark.parametrize("other", ["b/docs", "b/Docs", "b/docs/"])
def test_folders_of_one_name_are_refused(other):
    with pytest.raises(
        DatasetError, match=r"b/.* the names of their folders, and a/docs has this one too"
    ):
        ensure_apart([Path("a/docs"), Path("a/code"), Path(other)])


def test_folders_of_several_names_are_apart():
    ensure_apart([Path("a/docs"), Path("a/code"), Path("b/docs-2")])
    ensure_apart([])
