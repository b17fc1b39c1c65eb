"""What was read of a server, kept for the next run."""

from twopass.evaluation.tuning.kept import Kept
from twopass.evaluation.tuning.settings import Reader

LISTS = [(["a", "é"], [0.5, 0.1]), (["b"], [7.0]), ([], [])]


def test_what_is_kept_is_read_back(tmp_path):
    file = tmp_path / "folder" / "kept.jsonl"
    first = Kept(file, {"model": "revision"})
    first.keep_lists("q", LISTS)
    first.keep_logits("q", Reader("model"), {"a": 1.5})
    first.keep_logits("q", Reader("model"), {"b": -1.0})
    second = Kept(file, {"model": "revision"})
    assert second.lists("q") == LISTS
    assert second.logits("q", Reader("model")) == {"a": 1.5, "b": -1.0}
    assert second.logits("q", Reader("model", "max_window")) == {}
    assert second.lists("r") is None


def test_a_model_of_the_same_name_and_another_revision_is_another(tmp_path):
    file = tmp_path / "kept.jsonl"
    Kept(file, {"model": "revision"}).keep_logits("q", Reader("model"), {"a": 1.5})
    assert Kept(file, {"model": "next"}).logits("q", Reader("model")) == {}


def test_a_line_that_an_interrupted_run_left_half_written_is_dropped(tmp_path):
    file = tmp_path / "kept.jsonl"
    Kept(file, {}).keep_lists("q", LISTS)
    with file.open("a") as lines:
        lines.write('{"query": "r", "li')
    again = Kept(file, {})
    assert again.lists("q") == LISTS
    again.keep_lists("r", LISTS)
    assert Kept(file, {}).lists("r") == LISTS


def test_without_a_file_nothing_is_kept():
    kept = Kept(None, {})
    kept.keep_lists("q", LISTS)
    assert kept.lists("q") is None
