"""Feedback over the wire: recorded, exported as qrels, deleted, and who may do so."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.client import (
    AsyncClient,
    Client,
    Document,
    Feedback,
    FeedbackKind,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnimplementedError,
)
from twopass.evaluation.judgements import load_judgements
from twopass.server.edge.keys import make_key
from twopass.v1 import feedback_pb2, feedback_pb2_grpc, search_pb2

from .command_line import answer, invoke
from .corpus import fill
from .serving import Server, Stubs, server_process

QUESTION = "What is the capital of Australia?"


@pytest.fixture(scope="module")
def keeping(tmp_path_factory) -> Iterator[Server]:
    data: Path = tmp_path_factory.mktemp("keeping")
    with Server(data, gated=False, http_address="127.0.0.1:0", feedback_texts=True) as server:
        fill(server, "facts")
        yield server


@pytest.fixture
def client(keeping) -> Iterator[Client]:
    with Client(keeping.target) as client:
        yield client
        client.delete_feedback("facts", all=True)


def stub(server: Stubs) -> feedback_pb2_grpc.FeedbackServiceStub:
    return feedback_pb2_grpc.FeedbackServiceStub(server.channel)


def triples(client: Client, **wanted) -> list[tuple[str, str, str, int]]:
    return [
        (row.query_id, row.document_id, str(row.kind), row.grade)
        for row in client.feedback("facts", **wanted)
    ]


def test_feedback_on_an_answer_is_kept_by_the_callers_key_of_the_query(client):
    result = client.search("facts", QUESTION, top_n=3, query_id="q-1")
    shown = [hit.id for hit in result.hits]
    summary = client.record_feedback(
        "facts",
        [
            Feedback(search_id=result.search_id, document_id=shown[1]),
            Feedback(search_id=result.search_id, document_id=shown[0], grade=2),
            Feedback(query_id="q-1", document_id="chess", grade=0),
        ],
    )
    assert (summary.num_recorded, summary.refused) == (3, ())
    assert triples(client) == sorted(
        [
            ("q-1", shown[1], "click", 1),
            ("q-1", shown[0], "judgement", 2),
            ("q-1", "chess", "judgement", 0),
        ]
    )
    ranks = {row.document_id: row.rank for row in client.feedback("facts")}
    assert ranks == {shown[0]: 1, shown[1]: 2, "chess": 0}
    assert {row.query for row in client.feedback("facts")} == {QUESTION}
    # By the query's key alone, its last answer tells the rank; what it did not show may be clicked,
    # since another answer may have.
    client.record_feedback("facts", [Feedback(query_id="q-1", document_id=shown[2])])
    client.record_feedback("facts", [Feedback(query_id="q-1", document_id="made-up")])
    clicks = {row.document_id: row.rank for row in client.feedback("facts", kind="click")}
    assert clicks == {shown[1]: 2, shown[2]: 3, "made-up": 0}


def test_a_search_without_a_key_is_a_query_of_its_own(client):
    first, second = (client.search("facts", QUESTION, top_n=1) for _ in range(2))
    assert len({first.search_id, second.search_id}) == 2
    for result in (first, second):
        one = Feedback(search_id=result.search_id, document_id=result.hits[0].id)
        client.record_feedback("facts", [one])
    assert {row.query_id for row in client.feedback("facts")} == {
        first.search_id,
        second.search_id,
    }


def test_later_pages_tell_the_rank_among_all_hits(client):
    result = client.search("facts", QUESTION, top_n=2, offset=4)
    one = Feedback(search_id=result.search_id, document_id=result.hits[1].id)
    client.record_feedback("facts", [one])
    assert [row.rank for row in client.feedback("facts")] == [6]


def test_what_was_not_shown_can_not_be_clicked_and_what_is_not_known_needs_a_key(client):
    result = client.search("facts", QUESTION, top_n=2)
    absent = next(i for i in ("chess", "glass", "bees") if i not in {h.id for h in result.hits})
    summary = client.record_feedback(
        "facts",
        [
            Feedback(search_id=result.search_id, document_id=absent),
            Feedback(search_id="made-up", document_id="bees"),
            Feedback(search_id="made-up", query_id="q-2", document_id="bees"),
            Feedback(search_id=result.search_id, document_id=absent, grade=0),
        ],
    )
    assert summary.num_recorded == 2
    assert [(one.index, str(one.reason)) for one in summary.refused] == [
        (0, "not_shown"),
        (1, "search_unknown"),
    ]


def test_searches_of_a_batch_have_ids_of_their_own(client):
    from twopass.client import Search

    outcomes = client.batch_search([Search(collection="facts", query=QUESTION)] * 3)
    assert len({outcome.result().search_id for outcome in outcomes}) == 3


def test_an_answer_of_another_collection_is_not_known(keeping, client):
    fill(keeping, "others")
    result = client.search("others", QUESTION, top_n=1)
    one = Feedback(search_id=result.search_id, document_id=result.hits[0].id)
    summary = client.record_feedback("facts", [one])
    assert [str(each.reason) for each in summary.refused] == ["search_unknown"]
    client.delete_collection("others")


def event(**fields) -> feedback_pb2.FeedbackEvent:
    good = {"query_id": "q", "document_id": "a", "kind": feedback_pb2.FEEDBACK_KIND_JUDGEMENT}
    return feedback_pb2.FeedbackEvent(**good | fields)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (event(kind=0), "events[1].kind: unset; FEEDBACK_KIND_CLICK or"),
        (event(kind=9), "events[1].kind: 9 given"),
        (event(document_id=""), "events[1].document_id: empty"),
        (
            event(document_id="a" * 600),
            "events[1].document_id: 600 bytes of UTF-8 given",
        ),
        (event(query_id=""), "events[1].search_id: empty, and query_id too"),
        (event(query_id="q" * 257), "events[1].query_id: 257 bytes of UTF-8 given, at most 256"),
        (event(query_id="q\0"), "events[1].query_id: a NUL at character 1"),
        (event(grade=101), "events[1].grade: 101 given, 0 to 100 is needed"),
        (event(grade=-1), "events[1].grade: -1 given"),
        (event(kind=1, grade=1), "events[1].grade: 1 given, a click has none: 0"),
        (event(time=Timestamp(seconds=2**40)), "events[1].time: seconds"),
        (event(time=Timestamp(seconds=int(time.time()) + 10**6)), "more than a day ahead"),
    ],
)
def test_where_a_field_is_wrong_nothing_is_recorded(keeping, client, bad, said):
    request = feedback_pb2.RecordFeedbackRequest(collection="facts", events=[event(), bad])
    with pytest.raises(grpc.RpcError) as raised:
        stub(keeping).RecordFeedback(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in raised.value.details()
    assert triples(client) == []


def test_events_are_counted_and_a_collection_has_to_be_there(client):
    with pytest.raises(InvalidArgumentError, match="events: none given"):
        client.record_feedback("facts", [])
    with pytest.raises(InvalidArgumentError, match="events: 1,001 given, at most 1,000"):
        client.record_feedback("facts", [Feedback(document_id="a", query_id="q")] * 1_001)
    for call in (
        lambda: client.record_feedback("none", [Feedback(document_id="a", query_id="q")]),
        lambda: list(client.feedback("none")),
        lambda: client.delete_feedback("none", all=True),
        lambda: client.shadows("none"),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_an_export_has_pages_and_ends_of_time(client):
    day = datetime(2026, 3, 1, 12, tzinfo=UTC)
    pieces = [
        Feedback(document_id=f"d{i}", query_id="q", grade=1, time=day + timedelta(days=i))
        for i in range(7)
    ]
    client.record_feedback("facts", [*pieces, Feedback(document_id="d0", query_id="q")])
    assert len(triples(client, page_size=3)) == 8
    assert triples(client, kind="click") == [("q", "d0", "click", 1)]
    inside = triples(client, start=day + timedelta(days=2), end=day + timedelta(days=4))
    assert [document for _, document, _, _ in inside] == ["d2", "d3"]
    assert next(iter(client.feedback("facts", kind="judgement"))).time == day


def test_a_token_belongs_to_one_listing(keeping, client):
    pieces = [Feedback(document_id=f"d{i}", query_id="q", grade=1) for i in range(3)]
    client.record_feedback("facts", pieces)
    request = feedback_pb2.ExportFeedbackRequest(collection="facts", page_size=1)
    token = stub(keeping).ExportFeedback(request).next_page_token
    for wrong in (
        feedback_pb2.ExportFeedbackRequest(collection="facts", kind=1, page_token=token),
        feedback_pb2.ExportFeedbackRequest(collection="facts", page_token="guess"),
        feedback_pb2.ExportFeedbackRequest(collection="facts", page_size=10_001),
        feedback_pb2.ExportFeedbackRequest(collection="facts", page_size=-1),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            stub(keeping).ExportFeedback(wrong)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_deleted_is_named_and_gone(client):
    pieces = [Feedback(document_id="a", query_id=f"q{i}", grade=1) for i in range(4)]
    client.record_feedback("facts", pieces)
    with pytest.raises(InvalidArgumentError, match="say what to delete, or set all"):
        client.delete_feedback("facts")
    with pytest.raises(InvalidArgumentError, match="all: true, and something else"):
        client.delete_feedback("facts", ["q1"], all=True)
    assert client.delete_feedback("facts", ["q1", "q2", "none"]) == 2
    assert [query for query, *_ in triples(client)] == ["q0", "q3"]
    assert client.delete_feedback("facts", all=True) == 2


def test_feedback_is_found_by_an_alias_and_goes_with_its_collection(client):
    client.create_collection("short")
    client.upsert("short", [Document("a", "a text")])
    client.update_aliases({"alias": "short"})
    client.record_feedback("alias", [Feedback(document_id="a", query_id="q", grade=1)])
    assert [row.query_id for row in client.feedback("short")] == ["q"]
    client.update_aliases({"alias": None})
    client.rename_collection("short", "longer")
    assert [row.query_id for row in client.feedback("longer")] == ["q"]
    client.delete_collection("longer")
    client.create_collection("longer")
    assert list(client.feedback("longer")) == []
    client.delete_collection("longer")


async def test_the_client_for_asyncio_does_the_same(keeping, client):
    async with AsyncClient(keeping.target) as other:
        one = Feedback(document_id="a", query_id="q", grade=3)
        assert (await other.record_feedback("facts", [one])).num_recorded == 1
        rows = [row async for row in other.feedback("facts", page_size=1)]
        assert [(row.kind, row.grade) for row in rows] == [(FeedbackKind.JUDGEMENT, 3)]
        assert await other.shadows() == ()
        assert await other.delete_feedback("facts", ["q"]) == 1


def test_over_http_feedback_is_json(keeping, client):
    base = f"{keeping.http_url}/api/v1/collections/facts"
    found = httpx.post(f"{base}/search", json={"query": QUESTION, "query_id": "h", "top_n": 1})
    search_id, first = found.json()["search_id"], found.json()["hits"][0]["id"]
    click = {"search_id": search_id, "document_id": first, "kind": "FEEDBACK_KIND_CLICK"}
    recorded = httpx.post(f"{base}/feedback", json={"events": [click]})
    assert recorded.json() == {"num_recorded": 1, "refused": []}
    (row,) = httpx.get(f"{base}/feedback", params={"page_size": 5}).json()["feedback"]
    assert (row["query_id"], row["document_id"], row["rank"]) == ("h", first, 1)
    assert httpx.post(f"{base}/feedback/delete", json={"query_ids": ["h"]}).json() == {
        "num_deleted": "1"
    }
    assert httpx.get(f"{keeping.http_url}/api/v1/shadows").json() == {"shadows": []}


def test_feedback_is_there_after_a_restart_and_holds_no_text_unless_asked(tmp_path):
    with Server(tmp_path, gated=False) as server, Client(server.target) as client:
        fill(server, "facts")
        result = client.search("facts", QUESTION, top_n=1, query_id="q")
        one = Feedback(search_id=result.search_id, document_id=result.hits[0].id)
        client.record_feedback("facts", [one])
    content = (tmp_path / "feedback.sqlite").read_bytes()
    assert b"capital" not in content
    with Server(tmp_path, gated=False) as server, Client(server.target) as client:
        assert [(row.query_id, row.query) for row in client.feedback("facts")] == [("q", "")]


def test_feedback_that_was_acknowledged_is_there_after_a_kill(tmp_path):
    with server_process(tmp_path) as (process, target), Client(target) as client:
        fill(Stubs(target), "facts")
        for grade, name in enumerate(("sky", "bees", "tides")):
            one = Feedback(query_id="q", document_id=name, grade=grade)
            assert client.record_feedback("facts", [one]).num_recorded == 1
        process.kill()
        process.wait()
    with Server(tmp_path, gated=False) as server, Client(server.target) as client:
        kept = [(row.document_id, row.grade) for row in client.feedback("facts")]
        assert kept == [("bees", 1), ("sky", 0), ("tides", 2)]


def test_a_server_that_keeps_none_says_why_and_gives_answers_no_id(tmp_path):
    with Server(tmp_path, gated=False, feedback_max_rows=0) as server:
        fill(server, "facts")
        with Client(server.target) as client:
            search_id = client.search("facts", QUESTION).search_id
            assert search_id == ""
            for named in ({"query_id": "q"}, {"search_id": search_id}):
                with pytest.raises(UnimplementedError, match="feedback_max_rows is 0") as raised:
                    client.record_feedback("facts", [Feedback(document_id="a", **named)])
                assert raised.value.reason == "FEEDBACK_NOT_KEPT"
            assert client.shadows() == ()


def test_readers_search_and_writers_give_feedback(tmp_path):
    keys = {role: make_key() for role in ("reader", "writer")}
    file = tmp_path / "keys.toml"
    file.write_text(
        "".join(
            f'[[keys]]\nname = "{role}"\nsha256 = "{key.sha256}"\nrole = "{role}"\n'
            f'collections = ["facts"]\n'
            for role, key in keys.items()
        )
        + f'[[keys]]\nname = "admin"\nsha256 = "{(admin := make_key()).sha256}"\n'
    )
    with Server(tmp_path / "data", gated=False, keys=str(file)) as server:
        fill(Stubs(server.target, api_key=admin.secret), "facts")
        fill(Stubs(server.target, api_key=admin.secret), "theirs")
        one = [Feedback(document_id="a", query_id="q", grade=1)]
        with Client(server.target, api_key=keys["reader"].secret) as reader:
            assert reader.search("facts", QUESTION).search_id
            assert reader.shadows() == ()
            for call in (
                lambda: reader.record_feedback("facts", one),
                lambda: list(reader.feedback("facts")),
                lambda: reader.delete_feedback("facts", all=True),
            ):
                with pytest.raises(PermissionDeniedError):
                    call()
        with Client(server.target, api_key=keys["writer"].secret) as writer:
            assert writer.record_feedback("facts", one).num_recorded == 1
            with pytest.raises(PermissionDeniedError):
                writer.record_feedback("theirs", one)


def test_commands_record_export_and_delete(keeping, client, tmp_path, monkeypatch):
    monkeypatch.setenv("TWOPASS_TARGET", keeping.target)
    found = answer("search", "facts", QUESTION, "--query-id", "q-9", "--top-n", "2")
    shown = [hit["id"] for hit in found["hits"]]
    lines = [
        {"search_id": found["search_id"], "document_id": shown[0], "grade": 2},
        {"search_id": found["search_id"], "document_id": shown[1]},
        {"search_id": "made-up", "document_id": "bees"},
    ]
    text = "\n".join(map(json.dumps, lines))
    recorded = invoke("feedback", "record", "facts", "-", stdin=text)
    assert recorded.exit_code == 1
    assert "facts: 2 recorded" in recorded.stdout
    assert "number 3 is refused: the server does not know its search_id" in recorded.stderr
    single = ("--query-id", "q-10", "--document", "bees", "--grade", "1")
    assert answer("feedback", "record", "facts", *single) == {"num_recorded": 1, "refused": []}

    exported = invoke("feedback", "export", "facts").stdout
    expected = ["query-id\tcorpus-id\tscore", "q-10\tbees\t1", f"q-9\t{shown[0]}\t2"]
    assert exported.splitlines() == expected
    with_clicks = invoke("feedback", "export", "facts", "--clicks", "--format", "trec").stdout
    assert sorted(with_clicks.splitlines()) == sorted(
        ["q-10 0 bees 1", f"q-9 0 {shown[0]} 2", f"q-9 0 {shown[1]} 1"]
    )

    everything, judged = tmp_path / "all.jsonl", tmp_path / "judged.jsonl"
    assert invoke("feedback", "export", "facts", str(everything)).exit_code == 0
    assert "already" in invoke("feedback", "export", "facts", str(everything)).stderr
    assert invoke(
        "feedback", "export", "facts", str(judged), "--format", "judgements"
    ).exit_code == 0  # fmt: skip
    (dataset,) = load_judgements(judged).datasets
    assert list(dataset.queries.values()) == [QUESTION]
    assert list(dataset.qrels.values()) == [{shown[0]: 2}]

    table = tmp_path / "qrels.tsv"
    table.write_text(exported)
    assert answer("feedback", "delete", "facts", "--all", "--yes")["num_deleted"] == 3
    assert answer("feedback", "record", "facts", str(table))["num_recorded"] == 2
    assert invoke("feedback", "export", "facts").stdout == exported
    assert answer("feedback", "delete", "facts", "--all", "--yes")["num_deleted"] == 2
    assert answer("feedback", "record", "facts", str(everything))["num_recorded"] == 3
    assert "say what to delete" in invoke("feedback", "delete", "facts", "--yes").stderr
    assert answer("feedback", "delete", "facts", "--query-id", "q-9", "--yes")["num_deleted"] == 2
    assert "the server has no shadow" in invoke("feedback", "shadows").stderr


def test_metrics_count_what_came_and_what_is_kept(keeping, client):
    client.record_feedback("facts", [Feedback(document_id="a", query_id="q", grade=1)])
    client.record_feedback("facts", [Feedback(document_id="a", search_id="made-up")])
    told = httpx.get(f"{keeping.http_url}/metrics").text
    assert 'twopass_feedback_events_total{kind="judgement",outcome="recorded"}' in told
    assert 'twopass_feedback_events_total{kind="click",outcome="search_unknown"}' in told
    assert 'twopass_feedback_kept{what="rows"} 1.0' in told
    assert search_pb2.SearchResponse.DESCRIPTOR.fields_by_name["search_id"].number == 17
