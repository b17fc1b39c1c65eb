"""`twopass eval` as the gate of a pipeline: measured, kept, spoiled, refused."""

import json
from pathlib import Path

import junitparser
import pytest

from .command_line import invoke
from .corpus import FACTS

QUESTIONS = {
    "canberra": "What is the capital of Australia?",
    "strptime": "How do I read a date from a string?",
    "sky": "Why is the sky blue?",
    "bees": "How do bees tell each other where flowers are?",
    "everest": "Which mountain is the highest?",
    "bread": "Why does bread rise?",
    "tides": "What makes the tides?",
    "penicillin": "Who discovered penicillin?",
    "glass": "What is glass made of?",
    "copyfile": "How do I copy a file?",
    "volcano": "Why do volcanoes erupt?",
    "chess": "How does a bishop move?",
}


def write_set(folder: Path, questions: dict[str, str], facts: dict[str, str] = FACTS) -> None:
    """Writes a test collection in BEIR's form, in which each question has one answer."""
    folder.mkdir(exist_ok=True)
    corpus = [json.dumps({"_id": name, "text": text}) for name, text in facts.items()]
    queries = [json.dumps({"_id": f"q-{name}", "text": text}) for name, text in questions.items()]
    judged = [f"q-{name}\t{name}\t1" for name in questions]
    (folder / "corpus.jsonl").write_text("\n".join(corpus))
    (folder / "queries.jsonl").write_text("\n".join(queries))
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")


class Pipeline:
    """A folder in which a pipeline evaluates one test collection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.baseline = folder / "baseline.json"
        write_set(folder / "facts", QUESTIONS)

    def run(self, *flags: str):
        kept = str(self.folder / "kept")
        return invoke(
            *("eval", str(self.folder / "facts"), "--mode", "hybrid", "--depth", "12"),
            *("--data", kept, *flags),
        )


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    """A pipeline with a baseline."""
    made = Pipeline(tmp_path_factory.mktemp("pipeline"))
    ended = made.run("--save-baseline", str(made.baseline), "--fail-below", "ndcg@10=0.8")
    assert ended.exit_code == 0, ended.stderr
    assert "1 gate passed" in ended.stderr
    return made


def test_unchanged_quality_passes_and_is_written_for_the_step(pipeline, tmp_path):
    junit, summary = tmp_path / "gates.xml", tmp_path / "summary.md"
    summary.write_text("what a step has written before\n")
    ended = pipeline.run(
        *("--against", str(pipeline.baseline), "--fail-below", "mrr@10=0.5"),
        *("--fail-above-ms", "60000", "--junit", str(junit), "--markdown", str(summary)),
    )
    assert ended.exit_code == 0, ended.stderr
    suites = junitparser.JUnitXml.fromfile(str(junit))
    assert (suites.tests, suites.failures) == (3, 0)
    written = summary.read_text()
    assert written.startswith("what a step has written before\n### Search quality\n")
    assert "**3 gates passed**" in written
    assert "| facts | hybrid@12 | ndcg@10 | " in written
    assert "| ≈ +0.0000 | 1.0000 | passed |" in written


def test_worse_quality_fails_with_an_exit_status_of_its_own(pipeline, tmp_path):
    junit, summary = tmp_path / "gates.xml", tmp_path / "summary.md"
    kept = pipeline.baseline.read_bytes()
    spoiled = Pipeline(tmp_path)
    texts = [*FACTS.values()]
    write_set(
        spoiled.folder / "facts", QUESTIONS, dict(zip(FACTS, texts[1:] + texts[:1], strict=True))
    )
    flags = ("--against", str(pipeline.baseline), "--save-baseline", str(pipeline.baseline))
    refused = spoiled.run(*flags)
    assert refused.exit_code == 1
    assert "its documents are not those of the baseline" in " ".join(refused.stderr.split())
    ended = spoiled.run(
        *(*flags, "--allow-other-corpus", "--fail-below", "ndcg@10=0.99"),
        *("--junit", str(junit), "--markdown", str(summary)),
    )
    assert ended.exit_code == 5, ended.stderr
    said = " ".join(ended.stderr.split())
    assert "facts, hybrid@12: ndcg@10 is 0." in said
    assert "facts, hybrid@12: ndcg@10 fell from " in said
    assert "is left as it was, since a gate failed" in said
    assert pipeline.baseline.read_bytes() == kept
    (suite,) = junitparser.JUnitXml.fromfile(str(junit))
    assert (suite.name, suite.failures) == ("facts", 1)
    written = summary.read_text()
    assert "**1 of 1 gate failed**" in written
    assert "| ▼ -" in written
    assert "the documents are not those of the baseline" in written


def test_other_queries_than_those_of_the_baseline_are_refused(pipeline, tmp_path):
    other = Pipeline(tmp_path)
    write_set(other.folder / "facts", {name: f"{text} Eh?" for name, text in QUESTIONS.items()})
    ended = other.run("--against", str(pipeline.baseline))
    assert ended.exit_code == 1
    assert "0 of 12 queries have the text and the judgements" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("flags", "status", "told"),
    [
        (("--fail-below", "ndcg@10"), 2, "--fail-below: 'ndcg@10': a measure and its least value"),
        (("--tolerance", "0.1"), 2, "need --against beside them"),
        (("--against", "none.json"), 1, "--save-baseline` makes one"),
        (("--junit", "gates.xml"), 2, "--junit, --markdown: tell of gates"),
        (("--save-baseline", "no/where/b.json"), 2, "there is no folder"),
        (("--blends", "--fail-below", "ndcg@10=0.1"), 2, "of which no gate is asked"),
    ],
)
def test_what_is_given_wrongly_is_told_before_anything_is_measured(tmp_path, flags, status, told):
    write_set(tmp_path / "facts", QUESTIONS)
    ended = invoke("eval", str(tmp_path / "facts"), *flags)
    assert ended.exit_code == status
    assert told in " ".join(ended.stderr.split())
