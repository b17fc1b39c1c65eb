"""Shadows beside a real server: other rerankers, depths and blends on answered searches."""

from collections.abc import Iterator

import httpx
import pytest

from twopass.client import Chunking, Client, Document, Feedback, Rerank, Retrieve, Schema, Shadow
from twopass.server.app import App
from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config

from ..waiting import wait_until
from .corpus import fill
from .serving import Server

QUESTION = "What is the capital of Australia?"
SHADOWS = (
    "shallow=depth:3,share:1",
    "first=blend:1,share:1",
    "six=reranker:twopass-minilm-l6,blend:0,share:1",
    "elsewhere=depth:2,share:1,collections:none*",
)


@pytest.fixture(scope="module")
def shadowed(tmp_path_factory) -> Iterator[Server]:
    settings = {
        "shadow": SHADOWS,
        "more_models": ("twopass-minilm-l6",),
        "feedback_settle_seconds": 0.0,
        "http_address": "127.0.0.1:0",
    }
    with Server(tmp_path_factory.mktemp("shadowed"), gated=False, **settings) as server:
        fill(server, "facts")
        yield server


@pytest.fixture
def client(shadowed) -> Iterator[Client]:
    with Client(shadowed.target) as client:
        yield client


def by_name(client: Client) -> dict[str, Shadow]:
    return {shadow.name: shadow for shadow in client.shadows()}


def orders_of(shadowed: Server, search_id: str) -> dict[str, list[str]]:
    """The orders that are remembered for an answer."""
    shown = shadowed._app._feedback.shown.get(search_id)
    assert shown is not None
    return {name: list(ids) for name, ids in (shown.orders or {}).items()}


def test_a_shadow_orders_a_search_as_it_would_have_been_answered(shadowed, client):
    result = client.search("facts", QUESTION, top_n=10)
    wait_until(lambda: len(orders_of(shadowed, result.search_id)) == 4)
    orders = orders_of(shadowed, result.search_id)
    asked = {
        "": Rerank(),
        "shallow": Rerank(depth=3),
        "first": Rerank(blend=1.0),
        "six": Rerank(model="twopass-minilm-l6", blend=0.0),
    }
    for name, rerank in asked.items():
        hits = client.search("facts", QUESTION, top_n=10, rerank=rerank).hits
        assert orders[name] == [hit.id for hit in hits], name


def test_passages_in_windows_are_read_as_a_search_reads_them(shadowed, client):
    schema = Schema(chunking=Chunking(window_tokens=16, overlap_tokens=4))
    client.create_collection("long", schema)
    texts = ["The moon pulls the tides. " * 9 + f"Number {i} has a red door." for i in range(12)]
    client.upsert("long", [Document(f"d{i}", text) for i, text in enumerate(texts)])
    for truncation in (None, "max_window"):
        live = Rerank(truncation=truncation, depth=4)
        result = client.search("long", "Which number has a red door?", rerank=live, top_n=10)
        wait_until(lambda found=result: "six" in orders_of(shadowed, found.search_id))
        wanted = Rerank(truncation=truncation, depth=4, model="twopass-minilm-l6", blend=0.0)
        hits = client.search("long", "Which number has a red door?", rerank=wanted, top_n=10).hits
        assert orders_of(shadowed, result.search_id)["six"] == [hit.id for hit in hits]
    client.delete_collection("long")
    for shadow in client.shadows():
        assert "long" not in {one.collection for one in shadow.comparisons}


def test_results_hold_agreement_differences_and_counts(shadowed, client):
    before = by_name(client)["first"].counts["compared"]
    result = client.search("facts", QUESTION, top_n=3, query_id="judged")
    wait_until(lambda: by_name(client)["first"].counts["compared"] > before)
    client.record_feedback(
        "facts", [Feedback(query_id="judged", document_id=result.hits[0].id, grade=1)]
    )
    wait_until(lambda: bool(by_name(client)["first"].comparisons[0].differences))
    found = by_name(client)
    assert list(found) == ["shallow", "first", "six", "elsewhere"]
    assert (found["six"].reranker, found["six"].blend) == ("twopass-minilm-l6", 0.0)
    assert found["elsewhere"].comparisons == ()
    (comparison,) = client.shadows("facts")[1].comparisons
    assert comparison.collection == "facts"
    assert 0 <= comparison.rank_biased_overlap <= 1
    (ndcg, rr) = comparison.differences
    assert (ndcg.measure, rr.measure) == ("judged_ndcg_10", "judged_rr_10")
    assert ndcg.lower <= ndcg.mean <= ndcg.upper
    assert ndcg.p_value == 1.0  # one query says nothing
    told = httpx.get(f"{shadowed.http_url}/metrics").text
    assert 'twopass_shadow_searches_total{outcome="compared",shadow="first"}' in told
    wanted = 'collection="facts",measure="rank_biased_overlap",shadow="six"}'
    assert f"twopass_shadow_agreement{{{wanted}" in told
    wanted = 'collection="facts",measure="judged_ndcg_10",shadow="first"}'
    assert f"twopass_shadow_p_value{{{wanted}" in told
    assert 'kind="shadow"' in told


def test_a_search_without_a_second_pass_is_not_compared(client):
    before = by_name(client)["first"].counts["unfit"]
    client.search("facts", QUESTION, rerank=False)
    client.search("facts", QUESTION, retrieve=Retrieve("lexical"), offset=1)
    wait_until(lambda: by_name(client)["first"].counts["unfit"] == before + 2)


def test_a_shadow_is_dropped_where_the_device_is_never_idle(tmp_path, monkeypatch):
    from twopass.server.shadowing import shadowing

    monkeypatch.setattr(shadowing, "_EXPIRE_SECONDS", 0.3)
    settings = {
        "shadow": ("six=reranker:twopass-minilm-l6,share:1",),
        "more_models": ("twopass-minilm-l6",),
    }
    with Server(tmp_path, gated=False, **settings) as server, Client(server.target) as client:
        fill(server, "facts")
        with server._app._arbiter.admitted(1):  # somebody's work is always under way
            client.search("facts", QUESTION)
            wait_until(lambda: by_name(client)["six"].counts["dropped_busy"] == 1)
        monkeypatch.setattr(shadowing, "_EXPIRE_SECONDS", 60.0)
        client.search("facts", QUESTION)
        wait_until(lambda: by_name(client)["six"].counts["compared"] == 1)


def test_sums_are_kept_over_a_restart(tmp_path):
    settings = {"shadow": ("first=blend:1,share:1",), "feedback_settle_seconds": 0.0}
    with Server(tmp_path, gated=False, **settings) as server, Client(server.target) as client:
        fill(server, "facts")
        client.search("facts", QUESTION)
        wait_until(lambda: by_name(client)["first"].counts["compared"] == 1)
        before = by_name(client)["first"].comparisons
    with Server(tmp_path, gated=False, **settings) as server, Client(server.target) as client:
        after = by_name(client)["first"]
        assert after.comparisons == before
        assert after.counts["compared"] == 0
    other = settings | {"shadow": ("first=blend:0.9,share:1",)}
    with Server(tmp_path, gated=False, **other) as server, Client(server.target) as client:
        assert by_name(client)["first"].comparisons == ()


async def test_a_shadow_of_a_model_that_is_not_held_keeps_the_server_from_starting(tmp_path):
    config = load_config(
        {"data": tmp_path, "address": "127.0.0.1:0", "shadow": ["six=reranker:none"]}
    )
    app = App(config)
    with pytest.raises(ConfigError, match=r"shadow: six: .*add the model to more_models"):
        await app.start()
    await app.close()
