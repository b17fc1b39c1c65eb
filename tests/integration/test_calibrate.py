"""`twopass calibrate`: on judged queries of a collection, and on pairs of texts."""

import json
import shutil
import zlib

import pytest

from twopass.client import Client
from twopass.engines.model.folder import open_model
from twopass.evaluation.datasets import Part

from .command_line import answer, invoke
from .corpus import FACTS, RERANKER, fill
from .serving import Server

QUESTIONS = [
    (document, f"{beginning} {text.rstrip('.')}?")
    for document, text in FACTS.items()
    for beginning in ("Is it true that", "Who says that", "Why is it so that", "Where does it say:")
]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("calibrate"), gated=False) as server:
        fill(server, "facts")
        yield server


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A file as the page saves it: each question's document is relevant, and two are not."""
    file = tmp_path_factory.mktemp("judged") / "judgements.jsonl"
    names = list(FACTS)
    with file.open("w") as lines:
        for number, (document, query) in enumerate(QUESTIONS):
            others = [x for x in (names[number % 12], names[(number + 5) % 12]) if x != document]
            grades = {document: 1} | dict.fromkeys(others, 0)
            row = {"collection": "facts", "query": query, "judgements": grades}
            lines.write(json.dumps(row) + "\n")
    return file


def test_a_threshold_is_chosen_told_and_kept_with_the_collection(running, judged, tmp_path):
    at = ("--target", running.target)
    picture = tmp_path / "curve.svg"
    ended = invoke(
        *("calibrate", str(judged), "--precision", "0.9", "-k", "12", "--save"),
        *("--picture", str(picture), *at),
    )
    assert ended.exit_code == 0, ended.stderr
    assert "from a score of" in ended.stdout
    assert "on the other half: precision" in ended.stdout
    assert "hits that nobody judged are left out" in ended.stdout
    assert "Fewer than 100 queries" in ended.stdout
    assert "<!-- threshold 0." in picture.read_text()  # a text of the legend, as SVG names it
    with Client(running.target) as client:
        defaults = client.get_collection("facts").search_defaults
        assert defaults.chosen_by.startswith("twopass calibrate, 48 judged queries")
        result = client.search("facts", QUESTIONS[0][1])
        assert (result.answer_threshold, result.answerable) == (defaults.answer_threshold, True)
        client.set_search_defaults("facts", None)


def test_json_has_all_figures(running, judged):
    told = answer(
        *("calibrate", str(judged), "--recall", "0.9", "--of", "hits", "-k", "12"),
        *("--unjudged", "irrelevant", "--target", running.target),
    )
    assert told["reached"]["recall"]["low"] <= told["reached"]["recall"]["value"]
    assert 0 <= told["calibrated_threshold"] <= 1
    assert told["num_queries"] == len(QUESTIONS)
    assert told["num_judged"] > told["num_relevant"] > 0


def test_as_min_score_leaves_out_what_is_below(running, judged):
    at = ("--target", running.target)
    ended = invoke(
        *("calibrate", str(judged), "--precision", "0.9", "-k", "12"),
        *("--save", "--as-min-score", *at),
    )
    assert ended.exit_code == 0, ended.stderr
    with Client(running.target) as client:
        defaults = client.get_collection("facts").search_defaults
        assert defaults.answer_threshold is None
        result = client.search("facts", QUESTIONS[0][1])
        assert result.num_below_min_score > 0
        assert all(hit.score >= defaults.min_score for hit in result.hits)
        client.set_search_defaults("facts", None)


def test_a_folder_of_judged_queries_is_read_without_its_corpus(running, tmp_path):
    folder = tmp_path / "judged"
    folder.mkdir()
    queries = [{"_id": f"q{n}", "text": text} for n, (_, text) in enumerate(QUESTIONS)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    rows = "".join(f"q{n}\t{document}\t1\n" for n, (document, _) in enumerate(QUESTIONS))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    ended = invoke(
        *("calibrate", str(folder), "--collection", "facts", "--precision", "0.9", "-k", "12"),
        *("--unjudged", "irrelevant", "--target", running.target),
    )
    assert ended.exit_code == 0, ended.stderr
    assert "from a score of" in ended.stdout
    assert "nothing was written; --save keeps the threshold" in ended.stderr
    with Client(running.target) as client:
        assert client.get_collection("facts").search_defaults is None


def test_judgements_without_a_line_are_refused(running, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    ended = invoke("calibrate", str(tmp_path / "empty.jsonl"), "--target", running.target)
    assert ended.exit_code == 1
    assert "there is no line of judgements; judge some on the page /ui" in ended.stderr


def test_questions_without_an_answer_count(running, judged, tmp_path):
    more = tmp_path / "more.jsonl"
    row = {"collection": "facts", "query": "What is a quark?", "judgements": {"sky": 0, "bees": 0}}
    more.write_text(judged.read_text() + json.dumps(row) + "\n")
    told = answer("calibrate", str(more), "-k", "12", "--target", running.target)
    assert told["num_queries"] == len(QUESTIONS) + 1


def test_too_few_judgements_are_refused(running, judged, tmp_path):
    few = tmp_path / "few.jsonl"
    few.write_text("".join(judged.read_text().splitlines(keepends=True)[:6]))
    ended = invoke("calibrate", str(few), "--precision", "0.9", "--target", running.target)
    assert ended.exit_code == 1
    assert "at least 10 of each are needed in either half" in ended.stderr
    assert "--unjudged irrelevant" in ended.stderr


def test_pairs_calibrate_a_reranker_in_its_folder(tmp_path):
    folder = tmp_path / "reranker"
    shutil.copytree(open_model(RERANKER).path, folder)
    before = open_model(str(folder)).spec
    file = tmp_path / "pairs.jsonl"
    texts = list(FACTS.values())
    with file.open("w") as lines:
        for number, (document, query) in enumerate(QUESTIONS):
            for passage in (FACTS[document], texts[number % 12], texts[(number + 7) % 12]):
                relevant = int(passage == FACTS[document] and zlib.crc32(query.encode()) % 5 > 0)
                row = {"query": query, "passage": passage, "relevant": relevant}
                lines.write(json.dumps(row) + "\n")
    ended = invoke(
        *("calibrate", str(file), "--reranker", str(folder), "--precision", "0.7", "--save"),
        *("--of", "hits"),
    )
    assert ended.exit_code == 0, ended.stderr
    after = open_model(str(folder)).spec
    assert after.revision == before.revision
    assert after.calibration != before.calibration
    assert 0 < after.answer_threshold < 1
    assert after.blend == before.blend


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--precision", "0.9", "--recall", "0.9"), "give one of them"),
        (("--precision", "1.5"), "1.5"),
        (("--precision", "0.9", "--as-min-score"), "--save"),
        (("--save",), "give --precision or --recall"),
        (("--max-queries", "0"), "0"),
    ],
)
def test_what_can_not_be_meant_is_refused(judged, arguments, problem):
    ended = invoke("calibrate", str(judged), *arguments)
    assert ended.exit_code == 2
    assert problem in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--save",), "--reranker must be a model's folder"),
        (("--save", "--reranker", RERANKER), "--reranker must be a model's folder"),
        (("--precision", "0.9", "--save", "--as-min-score"), "is for collections"),
    ],
)
def test_what_pairs_can_not_be_saved_as_is_refused_before_they_are_scored(
    tmp_path, arguments, problem
):
    """No server runs here that could score them."""
    folder = tmp_path / "reranker"
    folder.mkdir()
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"query": "q", "passage": "p", "relevant": 1}) + "\n")
    if "--as-min-score" in arguments:
        arguments = (*arguments, "--reranker", str(folder))
    ended = invoke("calibrate", str(file), *arguments)
    assert ended.exit_code == 2
    assert problem in " ".join(ended.stderr.split())


def test_a_calibration_by_which_scores_fall_as_logits_rise_is_not_written(tmp_path):
    folder = tmp_path / "reranker"
    shutil.copytree(open_model(RERANKER).path, folder)
    before = (folder / "twopass.json").read_bytes()
    file = tmp_path / "pairs.jsonl"
    texts = list(FACTS.values())
    with file.open("w") as lines:
        for number, (document, query) in enumerate(QUESTIONS):
            for passage in (FACTS[document], texts[number % 12]):
                row = {"query": query, "passage": passage, "relevant": passage != FACTS[document]}
                lines.write(json.dumps(row) + "\n")
    ended = invoke("calibrate", str(file), "--reranker", str(folder), "--save")
    assert ended.exit_code == 1
    assert "scores would fall as logits rise" in " ".join(ended.stderr.split())
    assert (folder / "twopass.json").read_bytes() == before


def test_a_bad_line_of_pairs_is_named(tmp_path):
    file = tmp_path / "pairs.jsonl"
    good = json.dumps({"query": "q", "passage": "p", "relevant": 1})
    file.write_text(f'{good}\n{{"query": "q", "passage": "p", "relevant": 7}}\n')
    ended = invoke("calibrate", str(file))
    assert ended.exit_code == 1
    assert f"{file}:2: query and passage must be texts and relevant 0 or 1" in ended.stderr


def test_both_halves_have_questions():
    """So that the tests above can't turn into others by an edit of the questions."""
    import hashlib

    ids = [hashlib.sha256(query.encode()).hexdigest()[:16] for _, query in QUESTIONS]
    assert 12 <= sum(map(Part.HELD_OUT.has, ids)) <= len(ids) - 12
