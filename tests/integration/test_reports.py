"""Whether the second pass pays, as a server tells it of the searches that it answered."""

import json
import urllib.request

import pytest

from twopass.client import (
    AdviceKind,
    Client,
    Document,
    Feedback,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    Rerank,
    Search,
)
from twopass.server.edge.keys import make_key

from .corpus import FACTS
from .serving import Server

QUESTIONS = ("What is the capital of Australia?", "Why is the sky blue?", "How does bread rise?")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    data = tmp_path_factory.mktemp("reported")
    with Server(data, http_address="127.0.0.1:0") as server:
        yield server


@pytest.fixture
def client(running):
    """A client of a server whose only collection is `docs`, which was not searched."""
    with Client(running.target) as client:
        fill(client, "docs")
        yield client
        client.update_aliases(
            {alias: None for each in client.list_collections() for alias in each.aliases}
        )
        for each in client.list_collections():
            client.delete_collection(each.name)


def fill(client: Client, name: str) -> None:
    client.create_collection(name)
    client.upsert(name, [Document(key, text) for key, text in FACTS.items()])


def test_a_collection_that_was_not_searched_has_a_report_of_nothing(client):
    report = client.report("docs")
    assert (report.collection, report.num_searches, report.time) == ("docs", 0, None)
    assert report.summary == "No searches were answered in this time."
    assert report.advice == ()
    assert client.reports() == ()


def test_answers_are_compared_with_what_the_first_pass_would_have_shown(client):
    changed = kept = 0
    for question in QUESTIONS:
        hits = client.search("docs", question, top_n=4).hits
        changed += hits[0].first_pass_rank != 1
        kept += sum(hit.first_pass_rank <= 4 for hit in hits)
    report = client.report("docs", window=60)
    order = report.order
    assert (report.num_searches, order.num_compared) == (3, 3)
    assert order.num_first_changed == changed
    assert order.overlap == pytest.approx(kept / 12)
    assert report.rerank_statuses == {"complete": 3}
    assert report.retrieve_statuses == {"complete": 3}
    assert report.passages.num_passages == 3 * len(FACTS)
    assert sum(each.count for each in report.top_scores.scores) == 3
    assert sum(each.count for each in order.first_hit_places) == 3
    assert 0 < report.time.median_ms <= report.time.search_median_ms
    assert report.since < report.until
    assert [each.kind for each in report.advice] == [AdviceKind.FEW_SEARCHES]
    assert "3 searches" in report.summary


def test_each_search_of_a_batch_counts(client):
    client.batch_search([Search(collection="docs", query=question) for question in QUESTIONS])
    assert client.report("docs").num_searches == 3


def test_what_was_asked_without_a_second_pass_or_failed_is_not_compared(client):
    client.search("docs", QUESTIONS[0], rerank=False)
    with pytest.raises(InvalidArgumentError):
        client.search("docs", QUESTIONS[0], top_n=-1)
    report = client.report("docs")
    assert report.rerank_statuses == {"disabled": 1}
    assert (report.num_searches, report.order.num_compared) == (1, 0)


def test_what_min_score_leaves_out_is_told(client):
    client.search("docs", "What colour are quarks?", rerank=Rerank(min_score=1.0))
    report = client.report("docs")
    assert report.top_scores.num_with_min_score == report.top_scores.num_left_empty == 1
    assert report.passages.num_below_min_score == len(FACTS)


def test_searches_that_nothing_answers_are_told(client):
    for threshold in (0.0, 1.0):
        client.search("docs", QUESTIONS[1], rerank=Rerank(answer_threshold=threshold))
    top = client.report("docs").top_scores
    assert (top.num_with_threshold, top.num_unanswerable) == (2, 1)


def test_clicks_and_judgements_are_told_beside(client):
    assert client.report("docs").feedback.num_clicks == 0
    found = client.search("docs", QUESTIONS[0], top_n=3)
    first, second = (hit.id for hit in found.hits[:2])
    sent = [Feedback(document_id=each, search_id=found.search_id) for each in (first, second)]
    judged = Feedback(document_id=second, search_id=found.search_id, grade=0)
    client.record_feedback("docs", [*sent, judged])
    feedback = client.report("docs").feedback
    assert (feedback.num_clicks, feedback.num_clicked_queries) == (2, 1)
    assert (feedback.num_first_clicks, feedback.mean_reciprocal_rank) == (1, 0.75)
    assert (feedback.num_judgements, feedback.num_relevant) == (1, 0)
    assert client.report("docs").shadows == ()
    assert client.reports()[0].feedback is None


def test_a_search_by_an_alias_counts_for_the_collection(client):
    client.update_aliases({"live": "docs"})
    client.search("live", QUESTIONS[0])
    assert client.report("live").collection == "docs"
    assert client.report("docs").num_searches == 1


def test_a_renamed_collection_keeps_its_report(client):
    client.search("docs", QUESTIONS[0])
    client.rename_collection("docs", "new")
    assert client.report("new").num_searches == 1


def test_a_deleted_collection_has_no_report_and_one_made_anew_begins_at_zero(client):
    client.search("docs", QUESTIONS[0])
    client.delete_collection("docs")
    with pytest.raises(NotFoundError):
        client.report("docs")
    assert client.reports() == ()
    fill(client, "docs")
    assert client.report("docs").num_searches == 0


def test_all_collections_that_were_searched_are_told_by_name(client):
    fill(client, "a")
    fill(client, "unasked")
    for name in ("docs", "a"):
        client.search(name, QUESTIONS[0])
    assert [report.collection for report in client.reports()] == ["a", "docs"]


@pytest.mark.parametrize("window", [0, 59, 86_401, -3_600])
def test_a_time_that_is_not_counted_is_refused(client, window):
    for ask in (
        lambda: client.report("docs", window=window),
        lambda: client.reports(window=window),
    ):
        with pytest.raises(InvalidArgumentError, match=r"window: .* 60 to 86,400 are possible"):
            ask()


def test_a_key_gets_the_reports_of_its_own_collections(tmp_path):
    one, all_of_them = make_key(), make_key()
    file = tmp_path / "keys.toml"
    file.write_text(
        f'[[keys]]\nname = "boss"\nsha256 = "{all_of_them.sha256}"\n'
        f'[[keys]]\nname = "one"\nsha256 = "{one.sha256}"\ncollections = ["one-*"]\n'
    )
    with Server(tmp_path / "data", keys=str(file)) as server:
        with Client(server.target, api_key=all_of_them.secret) as boss:
            for name in ("one-docs", "two-docs"):
                fill(boss, name)
                boss.search(name, QUESTIONS[0])
            assert [each.collection for each in boss.reports()] == ["one-docs", "two-docs"]
        with Client(server.target, api_key=one.secret) as client:
            assert [each.collection for each in client.reports()] == ["one-docs"]
            assert client.report("one-docs").num_searches == 1
            with pytest.raises(PermissionDeniedError):
                client.report("two-docs")


def test_it_is_told_over_http_too(client, running):
    client.search("docs", QUESTIONS[0])
    base = f"{running.http_url}/api/v1"
    with urllib.request.urlopen(f"{base}/collections/docs/report?window=3600s") as response:
        report = json.load(response)["report"]
    assert report["num_searches"] == "1"
    assert report["order"]["num_compared"] == "1"
    with urllib.request.urlopen(f"{base}/reports") as response:
        assert [each["collection"] for each in json.load(response)["reports"]] == ["docs"]
