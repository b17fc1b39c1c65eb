"""Tuning a collection of a running server: the arithmetic is the server's, hit by hit."""

import json
from contextlib import contextmanager
from xml.etree import ElementTree

import numpy as np
import pytest

from twopass.client import Client, Document, Schema
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.tuning.arithmetic import order, qualities
from twopass.evaluation.tuning.defaults import unset_answers, with_fusion, without_fusion
from twopass.evaluation.tuning.kept import Kept
from twopass.evaluation.tuning.reading import Reading, read_all
from twopass.evaluation.tuning.settings import Grid, Reader, Settings
from twopass.index.fusion import ConvexFusion, ReciprocalRankFusion

from .command_line import answer, invoke
from .corpus import FACTS, RERANKER

QUERIES = {
    "q1": "Why is the sky blue?",
    "q2": "capital of Australia",
    "q3": "how do volcanoes and yeast make bread rise",
}
KS, DEPTHS = (5, 12, 25), (3, 12, 25)
FUSIONS = (ReciprocalRankFusion(10), ConvexFusion(0.3), ConvexFusion(0.9))


def documents():
    """Facts alone, some together, and all in a long one that is split: lists that differ."""
    facts = list(FACTS.values())
    rng = np.random.default_rng(0)
    for number in range(60):
        text = " ".join(facts[at] for at in rng.choice(len(facts), 3, replace=False))
        yield Document(f"some-{number}", text, title=f"Notes of day {number}")
    for name, text in FACTS.items():
        yield Document(name, text)
    yield Document("long", " ".join(facts * 12), title="Everything")


@pytest.fixture(scope="module")
def client(server):
    with Client(server.target) as connected:
        yield connected


@pytest.fixture(scope="module")
def tuned(client):
    """A collection to be tuned."""
    client.create_collection("to-tune", Schema())
    client.upsert("to-tune", documents())
    yield "to-tune"
    client.delete_collection("to-tune")


@contextmanager
def bar(_description, _total):
    yield lambda _done: None


def reading(client, collection, grid, kept=None):
    return Reading(
        client=client,
        collection=collection,
        grid=grid,
        dense_minimum=-1.0,
        kept=kept or Kept(None, {}),
    )


@pytest.mark.parametrize("truncation", ["truncate", "max_window"])
def test_every_setting_orders_hits_as_the_server_does(client, tuned, truncation):
    reader = Reader(RERANKER, truncation)
    grid = Grid(ks=KS, depths=DEPTHS, fusions=FUSIONS, readers=(reader,))
    judged = Dataset("d", (), QUERIES, {name: {"sky": 1} for name in QUERIES}, collection=tuned)
    queries = read_all(reading(client, tuned, grid), judged, bar=bar)
    ways = qualities(queries, grid, -1.0).ways
    rng = np.random.default_rng(1)
    some = [ways[number] for number in rng.choice(len(ways), 25, replace=False).tolist()]
    assert {way.mode for way in some} == {"dense", "lexical", "hybrid"}
    for way in some:
        for query in queries:
            result = client.search(
                tuned,
                QUERIES[query.id],
                top_n=way.k,
                retrieve=way.retrieve(),
                rerank=way.rerank(),
            )
            told = order(query, way, -1.0)
            assert [hit.id for hit in result.hits] == told, way.told()


@pytest.mark.parametrize(
    "settings",
    [
        Settings("hybrid", 50, ConvexFusion(0.9), 50, Reader(RERANKER), 0.7),
        Settings("hybrid", 50, ConvexFusion(0.42), 50, Reader(RERANKER), 0.7),
        Settings("hybrid", 50, ReciprocalRankFusion(60), 50, Reader(RERANKER), 0.7),
    ],
    ids=Settings.told,
)
def test_what_a_search_does_that_sets_nothing_is_told_from_its_answers(
    client, tuned, settings, monkeypatch
):
    """Asked by a client whose requests set the fusion, as a server's own defaults would."""
    search = client.search

    def unset(collection, query, **given):
        return search(collection, query, retrieve=settings.retrieve(), **given)

    with monkeypatch.context() as patched:
        patched.setattr(client, "search", unset)
        answers = unset_answers(client, tuned, QUERIES)
    found = without_fusion(answers, client.get_collection(tuned))
    grid = Grid(ks=KS, readers=()).with_way(found)
    told = with_fusion(found, answers, QUERIES, reading(client, tuned, grid))
    assert told.told() == settings.told()


def judgements(tmp_path, collection, count=24):
    """A file as the page saves it."""
    file = tmp_path / "judged.jsonl"
    rows = [
        {"collection": collection, "query": f"{text} ({n})", "judgements": {name: 1}}
        for n, (name, text) in enumerate(list(FACTS.items()) * (1 + count // len(FACTS)))
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
    return str(file)


def test_tune_tells_the_defaults_the_choice_and_what_it_is_worth(server, tuned, tmp_path):
    picture, kept = tmp_path / "picture.svg", tmp_path / "kept"
    command = (
        *("tune", tuned, judgements(tmp_path, tuned), "--target", server.target),
        *(
            "--depth",
            "5",
            "--depth",
            "20",
            "--timed",
            "2",
            "--kept",
            str(kept),
            "--picture",
            str(picture),
        ),
    )
    told = answer(*command)
    assert told["defaults"]["mode"] == "hybrid"
    assert told["defaults"]["reranker"] == RERANKER
    assert (told["num_queries"], told["check"], told["made_up"]) == (24, "folds", False)
    assert told["gain"]["num_queries"] == 24
    assert told["num_ways"] > 500
    measured = [way for way in told["ways"] if way["measured"]]
    assert measured
    assert all(way["measured"]["agreement"] == 1.0 for way in measured)
    drawing = ElementTree.fromstring(picture.read_text())  # drawn just now
    assert "to-tune: nDCG@10 against milliseconds" in drawing[0].text
    (file,) = kept.iterdir()
    size = file.stat().st_size
    again = invoke(*command)
    assert again.exit_code == 0, again.stderr
    assert file.stat().st_size == size  # nothing was read anew
    first = again.stdout.splitlines()[0]
    assert first.startswith(("Keep the defaults:", "Take:"))
    assert "the frontier, all 24 judged queries" in again.stdout


def test_other_windows_are_tried_in_copies_that_are_gone_at_the_end(
    server, client, tuned, tmp_path
):
    told = answer(
        *("tune", tuned, judgements(tmp_path, tuned, 12), "--depth", "5"),
        *("--window-tokens", "32", "--timed", "1", "--target", server.target),
    )
    (windows,) = told["windows"]
    assert windows["window_tokens"] == 32
    assert windows["gain"]["num_queries"] == 12
    assert windows["milliseconds"] > 0
    assert not [one.name for one in client.list_collections() if "-tune-" in one.name]


def test_a_dry_run_says_what_would_be_read(server, tuned, tmp_path):
    told = answer(
        *("tune", tuned, judgements(tmp_path, tuned), "--dry-run", "--target", server.target)
    )
    assert told["num_queries"] == 24
    assert told["rerankers"] == [RERANKER]
    assert 0 < told["most_pairs"] <= 24 * 200


def test_folders_of_judged_queries_are_read_without_their_corpus(server, tuned, tmp_path):
    queries = [{"_id": name, "text": text} for name, text in QUERIES.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    rows = "".join(f"{name}\tsky\t1\n" for name in QUERIES)
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    told = answer("tune", tuned, str(tmp_path), "--dry-run", "--target", server.target)
    assert told["num_queries"] == 3


def test_questions_are_cut_out_of_documents_where_nothing_is_judged(server, client, tuned):
    ended = invoke(
        *("tune", tuned, "--made-up", "--questions", "12", "--documents", "40"),
        *("--depth", "5", "--timed", "1", "--target", server.target, "--json"),
    )
    assert ended.exit_code == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["made_up"] is True
    assert told["collection"] == tuned
    measured = [way["measured"] for way in told["ways"] if way["measured"]]
    assert all(one["agreement"] is None for one in measured)  # it is timed on other documents
    assert "weaker than judgements" in ended.stderr
    left = [one.name for one in client.list_collections() if "-tune-" in one.name]
    assert left == []


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ((), 2, "--made-up"),
        (("judged", "--made-up"), 2, "not beside judgements"),
        (("judged", "--reranker", "none-such"), 1, "holds no such reranker"),
        (("missing.jsonl",), 1, "missing.jsonl"),
    ],
    ids=["nothing judged", "both", "no such reranker", "no such file"],
)
def test_what_can_not_be_tuned_is_refused_with_the_way_out(
    server, tuned, tmp_path, given, status, says
):
    file = judgements(tmp_path, tuned)
    given = [file if one == "judged" else one for one in given]
    ended = invoke("tune", tuned, *given, "--target", server.target)
    assert ended.exit_code == status
    assert says in ended.stderr


def test_judgements_of_another_collection_are_left_out_and_named(server, tuned, tmp_path):
    ended = invoke("tune", tuned, judgements(tmp_path, "another"), "--target", server.target)
    assert ended.exit_code == 1
    assert "left out: judgements of other collections, another" in ended.stderr


def test_what_was_chosen_becomes_the_defaults_of_the_collection(server, client, tmp_path):
    """Words alone find what is asked for, so that nothing is lost without a second pass."""
    client.create_collection("to-save", Schema())
    try:
        codes = [f"part number {number:06d}" for number in range(1000, 1024)]
        client.upsert("to-save", [Document(f"d{n}", text) for n, text in enumerate(codes)])
        file = tmp_path / "judged.jsonl"
        rows = [
            {"collection": "to-save", "query": text, "judgements": {f"d{n}": 1}}
            for n, text in enumerate(codes)
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = (
            *("tune", "to-save", str(file), "--target", server.target),
            *("--depth", "10", "--timed", "1", "--margin", "0.5", "--kept", str(tmp_path / "kept")),
        )
        asked = answer(*command)
        assert asked["saved"] is False
        assert client.get_collection("to-save").search_defaults is None
        assert asked["reason"] in ("cheaper", "better")
        saved = answer(*command, "--save")
        assert saved["saved"] is True
        defaults = client.get_collection("to-save").search_defaults
        assert defaults.chosen_by.startswith("twopass tune, 24 judged queries")
        assert (defaults.mode, defaults.k) == (saved["chosen"]["mode"], saved["chosen"]["k"])
        assert defaults.rerank is saved["chosen"]["rerank"]
        # What is saved is what the next run finds that a search does which sets nothing.
        again = answer(*command)
        assert again["defaults"] == saved["chosen"]
    finally:
        client.delete_collection("to-save")
