"""Commands that measure quality: of a test collection, or of a server as it runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from twopass.client import Chunking, Client, Document, Schema

from ..command_line import answer, invoke
from ..corpus import FACTS, RERANKER
from ..serving import Server


@pytest.fixture
def test_collection(tmp_path) -> Path:
    """A test collection of one query."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    corpus = [json.dumps({"_id": name, "text": text}) for name, text in FACTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(corpus))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "why is the sky blue"}\n')
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\tsky\t1\n")
    return folder


def test_eval_measures_every_mode_and_depth_through_a_server_of_its_own(test_collection):
    measured = answer("eval", str(test_collection), "--depth", "5", "--depth", "2")
    assert [result["mode"] for result in measured] == ["dense", "lexical", "hybrid"]
    for result in measured:
        assert result["num_documents"] == len(FACTS)
        assert result["first_pass"]["ndcg"] == result["reranker"]["mrr"] == 1.0
        assert {depth: q["ndcg"] for depth, q in result["reranked"].items()} == {"2": 1.0, "5": 1.0}


@pytest.mark.slow
def test_eval_compares_fusions_and_shows_tables(test_collection, tmp_path):
    keep = ("--data", str(tmp_path / "kept"))
    compared = answer("eval", str(test_collection), "--fusions", *keep)
    assert compared["tiny"]["convex 0.5"] == 1.0
    ended = invoke("eval", str(test_collection), "--no-rerank", *keep)
    assert ended.exit_code == 0, ended.stderr
    for row in ("dense", "lexical", "hybrid", "mean"):
        assert row in ended.stdout
    assert "logits alone" not in ended.stdout


@pytest.mark.slow
def test_eval_compares_blends_and_leaves_runs(test_collection, tmp_path):
    keep = ("--data", str(tmp_path / "kept"))
    compared = answer("eval", str(test_collection), "--blends", "--depth", "3", *keep)
    assert list(compared["tiny"]) == [f"{tenths / 10:g}" for tenths in range(11)]
    assert compared["tiny"]["1"] == 1.0
    ended = invoke("eval", str(test_collection), "--depth", "3", "--runs", str(tmp_path), *keep)
    assert ended.exit_code == 0, ended.stderr
    assert "logits alone" in ended.stdout
    for mode in ("dense", "lexical", "hybrid"):
        first, *rest = (tmp_path / f"tiny.{mode}.trec").read_text().splitlines()
        assert first == f"q Q0 sky 1 {1 + len(rest)} {mode}"


def judged(tmp_path, *lines):
    file = tmp_path / "judgements.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def test_eval_measures_a_running_server_by_the_judgements_that_the_page_saves(
    server, facts, tmp_path
):
    query = "What colour is the sky?"
    best = answer("search", facts, query, "--target", server.target)["hits"][0]["id"]
    file = judged(
        tmp_path,
        {"collection": facts, "query": query, "judgements": {best: 1}},
        {"collection": facts, "query": "nobody knows", "judgements": {best: 0}},
    )
    ended = invoke("eval", file, "--target", server.target, "--json")
    assert ended.exit_code == 0, ended.stderr
    measured = json.loads(ended.stdout)
    assert [result["mode"] for result in measured] == ["dense", "lexical", "hybrid"]
    assert measured[2]["reranked"]["50"]["ndcg"] == 1.0
    assert {(r["dataset"], r["num_documents"], r["num_queries"]) for r in measured} == {
        (facts, len(FACTS), 1)
    }
    assert "relevant: 1 of the queries" in ended.stderr
    assert "the others count as irrelevant" in ended.stderr
    assert "hybrid: 100% of the pairs were scored before" in ended.stderr  # by the modes before


def test_eval_measures_nothing_where_a_collection_of_the_judgements_is_missing(
    server, facts, tmp_path
):
    lines = [{"collection": each, "query": "sky", "judgements": {"a": 1}} for each in (facts, "no")]
    ended = invoke("eval", judged(tmp_path, *lines), "--target", server.target)
    assert ended.exit_code == 4
    assert ended.stderr.startswith("error: collection 'no' does not exist")


def test_eval_refuses_what_means_nothing_for_a_collection_that_is_indexed(tmp_path):
    file = judged(tmp_path, {"collection": "docs", "query": "sky", "judgements": {"a": 1}})
    for flags, told in (
        (("--fusions",), "--fusions"),
        (("--heads", "--language", "en"), "--heads, --language"),
        (("--data", str(tmp_path)), "--data"),
        (("--store", "postgresql://host/database"), "--store"),
        ((str(tmp_path),), "not both"),
    ):
        ended = invoke("eval", file, *flags)
        assert ended.exit_code == 1
        assert told in ended.stderr
    kept = ("--data", str(tmp_path), "--store", "postgresql://host/database")
    ended = invoke("eval", str(tmp_path), *kept)
    assert ended.exit_code == 1
    assert "--data or --store, not both" in ended.stderr
    ended = invoke("eval", str(tmp_path / "judgements"))
    assert ended.exit_code == 1
    assert "judgements: there is no such folder or file" in ended.stderr
    ended = invoke("eval", str(tmp_path / "judgements.jsonl"), "--target", "localhost:1")
    assert ended.exit_code == 3
    assert "localhost:1" in ended.stderr


@pytest.mark.parametrize(
    ("kind", "flag", "low", "high"),
    [("IVF8,Flat", "--nprobe", 1, 8), ("HNSW4", "--ef-search", 1, 300), ("Flat", "", 0, 0)],
)
def test_recall_is_measured_against_an_exact_search(tmp_path, kind, flag, low, high):
    vectors = np.random.default_rng(0).standard_normal((400, 24)).astype(np.float32)
    with Server(tmp_path, merge_changes=400) as server, Client(server.target) as client:
        schema = Schema(client_vectors=True, dimension=24, index_kind=kind)
        client.create_collection("vectors", schema)
        documents = (Document(str(i), "x", vector=v) for i, v in enumerate(vectors))
        client.upsert("vectors", documents, chunk_size=400)
        server.wait_for_merge("vectors")
        flags = [flag, str(low), flag, str(high)] if flag else []
        told = answer("recall", "vectors", "--queries", "100", *flags, "--target", server.target)
        if not flag:
            (told_low, told_high) = (None, told[0])
        else:
            told_low, told_high = told
            assert told_low["setting"].endswith(f"={low}")
            assert told_low["recall"] < 0.9
        assert told_high["recall"] >= 0.99
        assert told_high["median_ms"] > 0


def test_recall_says_what_it_can_not_measure(server):
    with Client(server.target) as client:
        for name, said in (
            ("no-documents", "over 10 are needed"),
            ("recall-in-windows", "1 of its documents are split"),
        ):
            client.create_collection(name, Schema(chunking=Chunking(32)))
            if name == "recall-in-windows":
                client.upsert(name, [Document("long", "many words " * 30)])
            ended = invoke("recall", name, "--target", server.target)
            client.delete_collection(name)
            assert ended.exit_code == 1
            assert said in " ".join(ended.stderr.split())


def test_the_frontier_has_every_way_of_searching(test_collection):
    measured = answer("frontier", str(test_collection), "--depth", "2", "--depth", "3")
    assert [(p["way"]["mode"], p["way"]["depth"], p["way"]["reranker"]) for p in measured] == [
        ("lexical", 3, None),
        ("dense", 3, None),
        ("hybrid", 3, None),
        ("hybrid", 2, RERANKER),
        ("hybrid", 3, RERANKER),
    ]
    assert all(p["ndcg"] == 1.0 and p["milliseconds"] > 0 for p in measured)


def test_choose_reads_each_set_once_by_each_reranker_and_tells_both_halves(tmp_path):
    folders = []
    for kind in ("like", "unlike"):
        folder = tmp_path / kind
        folder.mkdir()
        folders.append(str(folder))
        corpus = [json.dumps({"_id": name, "text": text}) for name, text in FACTS.items()]
        (folder / "corpus.jsonl").write_text("\n".join(corpus))
        queries = [json.dumps({"_id": f"q{n}", "text": "why is the sky blue"}) for n in range(8)]
        (folder / "queries.jsonl").write_text("\n".join(queries))
        judged = "".join(f"q{n}\tsky\t1\n" for n in range(8))
        (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    command = (
        *("choose", folders[0], "--other", folders[1], "--depth", "3"),
        *("--reranker", "twopass-minilm-l6", "--reranker", "twopass-minilm-l3"),
        *("--data", str(tmp_path / "kept")),
    )
    measured = answer(*command)
    assert list(measured["development"]) == ["twopass-minilm-l6", "twopass-minilm-l3"]
    assert measured["development"]["twopass-minilm-l3"]["1"] == {
        "like": 1.0, "unlike": 1.0, "mean, trained": 1.0, "mean, other": 1.0, "mean of kinds": 1.0
    }  # fmt: skip
    assert [(r["reranker"], r["against"]) for r in measured["held_out"]] == [
        ("twopass-minilm-l6", "hybrid alone"),
        ("twopass-minilm-l3", "hybrid alone"),
        ("twopass-minilm-l3", "twopass-minilm-l6"),
    ]
    kept = sorted((tmp_path / "kept" / "candidates").iterdir())
    assert len(kept) == 4
    times = [file.stat().st_mtime_ns for file in kept]
    table = invoke(*command)
    assert table.exit_code == 0, table.stderr
    assert "mean of kinds" in table.stdout
    assert [file.stat().st_mtime_ns for file in kept] == times


def test_a_query_that_is_too_long_is_cut_and_counted_instead_of_ending_the_evaluation(
    test_collection,
):
    long = json.dumps({"_id": "q", "text": "why is the sky blue " * 1_000})  # over max_query_bytes
    (test_collection / "queries.jsonl").write_text(long)
    ended = invoke("eval", str(test_collection), "--mode", "hybrid", "--depth", "2", "--json")
    assert ended.exit_code == 0, ended.stderr
    assert json.loads(ended.stdout)[0]["first_pass"]["ndcg"] == 1.0
    assert json.loads(ended.stdout)[0]["num_queries_cut"] == 1
    assert "tiny, hybrid: 1 of 1 queries are longer than a model reads" in ended.stderr
    table = invoke("eval", str(test_collection), "--mode", "lexical", "--no-rerank")
    assert "cut" not in table.stdout + table.stderr  # words are searched for whole


def test_eval_measures_the_modes_that_are_asked_for(test_collection):
    measured = answer("eval", str(test_collection), "--mode", "lexical", "--no-rerank")
    assert [result["mode"] for result in measured] == ["lexical"]


def test_eval_removes_the_endings_of_the_language_that_is_named(test_collection, tmp_path):
    (test_collection / "queries.jsonl").write_text('{"_id": "q", "text": "skies"}\n')
    by_words = ("eval", str(test_collection), "--mode", "lexical", "--no-rerank")
    keep = ("--data", str(tmp_path / "kept"))
    ndcg = [
        answer(*by_words, *keep, *language)[0]["first_pass"]["ndcg"]
        for language in (("--language", "none"), (), ("--language", "none"))
    ]
    assert ndcg == [0.0, 1.0, 0.0]
