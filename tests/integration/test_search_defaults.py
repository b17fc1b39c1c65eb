"""A collection's search defaults: below a request's own values, above the server's."""

import json
import shutil
from dataclasses import replace

import grpc
import httpx
import pytest

from twopass.client import (
    AsyncClient,
    Client,
    ConvexFusion,
    Document,
    InvalidArgumentError,
    ReciprocalRankFusion,
    Rerank,
    Retrieve,
    Search,
    SearchDefaults,
    document_ids,
)
from twopass.client.errors import NotFoundError
from twopass.engines.model.folder import open_model
from twopass.v1 import collection_pb2, search_pb2

from .command_line import answer, invoke
from .corpus import BLEND, FACTS, RERANKER, fill
from .serving import Server

LONG_TEXT = "The committee met on Tuesday and adjourned without a decision. " * 60
LONG_QUERY = "Which city is the capital of Australia, and why is it not Sydney? " * 60
QUERY = "Which city is the capital of Australia?"


@pytest.fixture
def client(server):
    with Client(server.target) as made:
        yield made


@pytest.fixture
def docs(server, client):
    """A collection of the corpus, which a test may change."""
    fill(server, "with-defaults")
    yield "with-defaults"
    for summary in client.list_collections():
        if summary.name.startswith("with-defaults"):
            client.delete_collection(summary.name)


def settled(result):
    """What a result tells of how it came about."""
    result, ids = replace(result, hits=(), timings=None, sequence=""), [x.id for x in result.hits]
    return replace(result, search_id="", num_cached=0), ids


def test_a_new_collection_has_none_and_searches_as_ever(client, docs):
    collection = client.get_collection(docs)
    assert (collection.search_defaults, collection.search_defaults_problem) == (None, "")
    result = client.search(docs, QUERY)
    assert (result.num_candidates, result.blend) == (len(FACTS), pytest.approx(BLEND))


def test_what_a_search_leaves_unset_is_the_collections(client, docs):
    client.set_search_defaults(docs, SearchDefaults(mode="lexical", k=3, rerank=False))
    result = client.search(docs, "the capital of Australia", top_n=2)
    assert result.rerank_status == "disabled"
    assert result.num_candidates == 3
    assert all(hit.dense_score is None and hit.lexical_score for hit in result.hits)


def test_what_a_search_says_itself_wins(client, docs):
    client.set_search_defaults(
        docs, SearchDefaults(mode="lexical", k=3, rerank=False, depth=1, blend=0.5)
    )
    asked = Retrieve(mode="dense", k=5)
    result = client.search(
        docs, QUERY, top_n=1, retrieve=asked, rerank=Rerank(enabled=True, depth=2, blend=0.25)
    )
    assert (result.num_candidates, result.num_reranked, result.blend) == (5, 2, 0.25)
    assert result.hits[0].dense_score is not None


def test_more_hits_than_the_collections_k_are_found_all_the_same(client, docs):
    client.set_search_defaults(docs, SearchDefaults(k=3, mode="dense"))
    assert client.search(docs, QUERY, top_n=7).num_candidates == 7


def test_depth_blend_and_min_score_are_applied(client, docs):
    plain = client.search(docs, QUERY, rerank=Rerank(blend=0.0))
    best = plain.hits[0].score
    client.set_search_defaults(docs, SearchDefaults(depth=4, blend=0.0, min_score=best))
    result = client.search(docs, QUERY)
    assert (result.num_reranked, result.blend, result.num_below_min_score) == (4, 0.0, 3)
    assert result.hits[0].score == best


@pytest.mark.parametrize("how", ["truncate", "max_window", "reject"])
def test_what_becomes_of_long_passages_is_applied(client, docs, how):
    client.upsert(docs, [Document("long", f"{LONG_TEXT} {FACTS['canberra']}")])
    asked = {"rerank": Rerank(truncation=how), "filter": document_ids(["long", "sky"])}
    client.set_search_defaults(docs, SearchDefaults(truncation=how))
    unsaid = {"filter": asked["filter"]}
    if how == "reject":
        for options in (asked, unsaid):
            with pytest.raises(InvalidArgumentError, match=r"rerank\.truncation: REJECT"):
                client.search(docs, QUERY, **options)
    else:
        assert settled(client.search(docs, QUERY, **unsaid)) == settled(
            client.search(docs, QUERY, **asked)
        )
    # What a search says itself wins.
    cut = client.search(docs, QUERY, rerank=Rerank(truncation="truncate"), filter=asked["filter"])
    assert {hit.id: hit.truncated for hit in cut.hits} == {"long": True, "sky": False}


def test_what_becomes_of_long_queries_is_applied(client, docs):
    client.set_search_defaults(docs, SearchDefaults(query_truncation="reject"))
    with pytest.raises(InvalidArgumentError, match="query_truncation"):
        client.search(docs, LONG_QUERY)
    assert client.search(docs, LONG_QUERY, query_truncation="truncate").query_truncated
    client.set_search_defaults(docs, SearchDefaults(query_truncation="truncate"))
    assert client.search(docs, LONG_QUERY).query_truncated
    with pytest.raises(InvalidArgumentError, match="query_truncation"):
        client.search(docs, LONG_QUERY, query_truncation="reject")


@pytest.mark.parametrize(
    "fusion", [ReciprocalRankFusion(7), ConvexFusion(0.25)], ids=["ranks", "scores"]
)
def test_a_fusion_is_applied(client, docs, fusion):
    explicit = client.search(docs, QUERY, retrieve=Retrieve("hybrid", fusion=fusion), rerank=False)
    client.set_search_defaults(docs, SearchDefaults(fusion=fusion, mode="hybrid", rerank=False))
    assert settled(client.search(docs, QUERY)) == settled(explicit)
    assert [hit.fused_score for hit in client.search(docs, QUERY).hits] == [
        hit.fused_score for hit in explicit.hits
    ]


def test_a_batch_uses_those_of_each_collection(client, docs, facts):
    client.set_search_defaults(docs, SearchDefaults(rerank=False))
    first, second = client.batch_search(
        [Search(collection=docs, query=QUERY), Search(collection=facts, query=QUERY)]
    )
    assert first.result().rerank_status == "disabled"
    assert second.result().rerank_status == "complete"


def test_they_are_told_with_what_the_server_filled_in(client, server, docs):
    wanted = SearchDefaults(
        mode="hybrid",
        k=30,
        fusion=ConvexFusion(),
        rerank=True,
        depth=20,
        reranker=RERANKER,
        blend=0.5,
        min_score=0.25,
        answer_threshold=0.75,
        truncation="max_window",
        query_truncation="reject",
        chosen_by="twopass tune, 212 judged queries",
    )
    told = client.set_search_defaults(docs, wanted).search_defaults
    assert client.get_collection(docs).search_defaults == told
    assert told.fusion.alpha is not None
    assert told.reranker_revision == client.model(RERANKER).revision
    assert told.set_time is not None
    assert replace(told, fusion=wanted.fusion, reranker_revision=None, set_time=None) == wanted


def test_setting_replaces_all_and_none_clears_them(client, docs):
    client.set_search_defaults(docs, SearchDefaults(k=30, depth=5))
    told = client.set_search_defaults(docs, SearchDefaults(depth=6)).search_defaults
    assert (told.k, told.depth) == (None, 6)
    assert client.set_search_defaults(docs, None).search_defaults is None
    client.set_search_defaults(docs, SearchDefaults(k=30))
    assert client.set_search_defaults(docs, SearchDefaults()).search_defaults is None
    assert client.search(docs, QUERY).num_candidates == len(FACTS)


def test_they_stay_through_renames_snapshots_and_a_restart(tmp_path):
    with Server(tmp_path) as server, Client(server.target) as client:
        fill(server, "notes")
        told = client.set_search_defaults(
            "notes", SearchDefaults(k=3, rerank=False)
        ).search_defaults
        client.create_snapshot("notes", "one")
        client.restore_snapshot("notes", "one", "copy")
        client.rename_collection("notes", "papers", keep_alias=True)
        assert client.search("papers", QUERY, top_n=2).num_candidates <= 6
    with Server(tmp_path) as server, Client(server.target) as client:
        for name in ("papers", "notes", "copy"):
            assert client.get_collection(name).search_defaults == told


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": 2_049}, "search_defaults.k: 2,049 given, at most 2,048"),
        ({"k": -1}, "search_defaults.k: -1 given"),
        ({"depth": -1}, "search_defaults.depth: -1 given"),
        ({"truncation": 9}, "search_defaults.truncation: 9 given"),
        ({"query_truncation": 9}, "search_defaults.query_truncation: 9 given"),
        ({"mode": 9}, "search_defaults.mode: 9 given"),
        ({"blend": 1.5}, "search_defaults.blend: 1.5 given"),
        ({"min_score": float("nan")}, "search_defaults.min_score: NaN given"),
        ({"answer_threshold": float("nan")}, "search_defaults.answer_threshold: NaN given"),
        ({"min_score": 2.5}, "search_defaults.min_score: 2.5 given, 0 to 1 is needed"),
        ({"answer_threshold": 2}, "search_defaults.answer_threshold: 2 given, 0 to 1 is needed"),
        ({"answer_threshold": -1}, "search_defaults.answer_threshold: -1 given, 0 to 1 is needed"),
        ({"chosen_by": "x" * 513}, "search_defaults.chosen_by: "),
        ({"convex": {"alpha": 2}}, "search_defaults.convex.alpha: 2 given"),
        ({"reranker_revision": "0" * 64}, "search_defaults.reranker_revision: '000000000000'"),
        (
            {"reranker": RERANKER, "reranker_revision": "0" * 64},
            "search_defaults.reranker_revision: '000000000000'",
        ),
    ],
    ids=str,
)
def test_what_is_out_of_range_is_refused_and_changes_nothing(server, client, docs, fields, message):
    before = client.set_search_defaults(docs, SearchDefaults(k=30)).search_defaults
    request = collection_pb2.SetSearchDefaultsRequest(collection=docs, search_defaults=fields)
    with pytest.raises(grpc.RpcError) as raised:
        server.collections.SetSearchDefaults(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in raised.value.details()
    assert client.get_collection(docs).search_defaults == before


def test_an_unknown_collection_or_reranker_is_not_found(client, docs):
    with pytest.raises(NotFoundError, match="'nowhere'"):
        client.set_search_defaults("nowhere", SearchDefaults(k=3))
    with pytest.raises(NotFoundError, match=r"search_defaults\.reranker: no reranker 'none'"):
        client.set_search_defaults(docs, SearchDefaults(reranker="none"))


def test_what_belongs_to_a_reranker_is_applied_to_its_searches_alone(tmp_path):
    wanted = SearchDefaults(blend=0.25, min_score=0.0, k=3)
    with (
        Server(tmp_path, more_models=["twopass-minilm-l6"]) as server,
        Client(server.target) as client,
    ):
        fill(server, "docs")
        client.set_search_defaults("docs", wanted)
        assert client.search("docs", QUERY).blend == 0.25
        other = client.search("docs", QUERY, rerank=Rerank(model="twopass-minilm-l6"))
        assert other.blend != 0.25
        assert other.num_candidates == client.search("docs", QUERY).num_candidates
        client.set_search_defaults("docs", replace(wanted, reranker="twopass-minilm-l6"))
        result = client.search("docs", QUERY)
        assert (result.reranker, result.blend) == ("twopass-minilm-l6", 0.25)


def test_spans_without_a_second_pass_are_read_by_the_collections_reranker(tmp_path):
    with (
        Server(tmp_path, more_models=["twopass-minilm-l6"]) as server,
        Client(server.target) as client,
    ):
        fill(server, "docs")
        client.set_search_defaults("docs", SearchDefaults(reranker="twopass-minilm-l6"))
        found = client.search("docs", QUERY, rerank=False, spans=True)
        assert (found.rerank_status, found.reranker) == ("disabled", "twopass-minilm-l6")
        client.set_search_defaults("docs", SearchDefaults(reranker=RERANKER, min_score=1.0))
        found = client.search("docs", QUERY, rerank=False, spans=True)
        assert (found.num_below_min_score, found.blend, found.reranker) == (0, 0.0, RERANKER)


def test_a_reranker_that_is_not_held_is_not_applied_and_told(tmp_path):
    with Server(tmp_path, reranker="twopass-minilm-l6") as server, Client(server.target) as client:
        fill(server, "docs")
        told = client.set_search_defaults("docs", SearchDefaults(blend=0.25, k=7))
        assert told.search_defaults_problem == ""
        named = SearchDefaults(reranker="twopass-minilm-l6", blend=0.25)
        client.create_collection("named")
        client.set_search_defaults("named", named)
    with Server(tmp_path) as server, Client(server.target) as client:
        problem = client.get_collection("docs").search_defaults_problem
        revision = told.search_defaults.reranker_revision
        assert f"of revision {revision[:12]}, which this server does not hold" in problem
        assert "not applied" in problem
        result = client.search("docs", QUERY)
        assert (result.reranker, result.blend) == (RERANKER, pytest.approx(BLEND))
        assert "does not hold" in client.get_collection("named").search_defaults_problem
        at = ("--target", server.target)
        assert problem in invoke("info", *at).stdout.replace("\n", " ")
        assert answer("info", *at)["search_defaults_problems"]["docs"] == problem
        kept = invoke("collections", "defaults", "docs", "--depth", "5", *at)
        assert kept.exit_code == 2
        assert "--clear" in kept.stderr
    with (
        Server(tmp_path, more_models=["twopass-minilm-l6"]) as server,
        Client(server.target) as client,
    ):
        assert "to searches that name none" in (
            client.get_collection("docs").search_defaults_problem
        )
        assert client.get_collection("named").search_defaults_problem == ""
        by_name = Rerank(model="twopass-minilm-l6")
        assert client.search("docs", QUERY, rerank=by_name).blend == 0.25
        assert client.search("docs", QUERY).blend == pytest.approx(BLEND)


def test_thresholds_are_not_applied_to_scores_that_are_calibrated_otherwise(tmp_path):
    folder = tmp_path / "reranker"
    shutil.copytree(open_model(RERANKER).path, folder)
    with Server(tmp_path / "data", reranker=str(folder)) as server, Client(server.target) as client:
        fill(server, "docs")
        client.set_search_defaults("docs", SearchDefaults(blend=0.25, min_score=1.0))
        assert not client.search("docs", QUERY).hits
    settings = json.loads((folder / "twopass.json").read_text())
    settings["calibration"] = {"a": 1.0, "b": 0.0}
    (folder / "twopass.json").write_text(json.dumps(settings))
    with Server(tmp_path / "data", reranker=str(folder)) as server, Client(server.target) as client:
        assert "calibrated otherwise" in client.get_collection("docs").search_defaults_problem
        result = client.search("docs", QUERY)
        assert (result.blend, result.num_below_min_score) == (0.25, 0)
        assert result.hits


def test_settings_that_can_not_be_read_are_told_and_set_anew(tmp_path):
    with Server(tmp_path) as server, Client(server.target) as client:
        fill(server, "docs")
        collection = server._app._store.folder.get("docs")
        collection.set_settings('{"search_defaults":{"mode":"telepathy"},"later":[1]}').result()
        assert "can't be read" in client.get_collection("docs").search_defaults_problem
        assert client.search("docs", QUERY).hits
        client.set_search_defaults("docs", SearchDefaults(k=3))
        assert client.get_collection("docs").search_defaults_problem == ""
        assert json.loads(collection.settings)["later"] == [1]


def test_options_are_checked_against_the_mode_that_counts(client, docs):
    client.set_search_defaults(docs, SearchDefaults(mode="lexical"))
    with pytest.raises(InvalidArgumentError, match="LEXICAL retrieval has one list only"):
        client.search(docs, QUERY, retrieve=Retrieve(fusion=ReciprocalRankFusion()))
    client.set_search_defaults(docs, None)
    assert client.search(docs, QUERY, retrieve=Retrieve(fusion=ReciprocalRankFusion())).hits


def test_http_sets_and_tells_them(tmp_path):
    body = {"search_defaults": {"k": 30, "mode": "RETRIEVE_MODE_DENSE", "chosen_by": "me"}}
    with Server(tmp_path, http_address="127.0.0.1:0") as server, Client(server.target) as client:
        client.create_collection("docs")
        url = f"{server.http_url}/api/v1/collections/docs/search-defaults"
        told = httpx.put(url, json=body).json()["collection"]["search_defaults"]
        assert (told["k"], told["mode"], told["chosen_by"]) == (30, "RETRIEVE_MODE_DENSE", "me")
        assert client.get_collection("docs").search_defaults.k == 30


async def test_the_client_of_asyncio_sets_them(server, docs):
    async with AsyncClient(server.target) as client:
        told = await client.set_search_defaults(docs, SearchDefaults(k=31))
        assert told.search_defaults.k == 31


def test_the_command_shows_sets_and_clears_them(server, docs):
    at = ("--target", server.target)
    assert "the defaults of the server" in invoke("collections", "defaults", docs, *at).stdout
    set_ = invoke("collections", "defaults", docs, "-k", "30", "--blend", "0.5", *at)
    assert set_.exit_code == 0, set_.stderr
    assert "k 30, blend 0.5" in set_.stdout
    told = answer("collections", "defaults", docs, "--depth", "5", *at)["search_defaults"]
    assert (told["k"], told["blend"], told["depth"]) == (30, 0.5, 5)
    assert "k 30" in invoke("collections", "show", docs, *at).stdout
    cleared = answer("collections", "defaults", docs, "--clear", *at)
    assert cleared["search_defaults"] is None


def test_the_command_search_uses_them(server, docs, client):
    client.set_search_defaults(docs, SearchDefaults(rerank=False, k=3, mode="dense"))
    at = ("--target", server.target)
    found = answer("search", docs, QUERY, "-n", "2", *at)
    assert (found["rerank_status"], found["num_candidates"]) == ("disabled", 3)
    found = answer("search", docs, QUERY, "-n", "2", "--rerank", "-k", "5", *at)
    assert (found["rerank_status"], found["num_candidates"]) == ("complete", 5)


def test_without_a_query_the_mode_is_chosen_by_what_there_is(server, client, docs):
    client.set_search_defaults(docs, SearchDefaults(mode="lexical", rerank=False))
    vector = client.embed([QUERY], role="query").vectors[0]
    assert client.search(docs, vector=vector).hits[0].dense_score is not None


def test_a_request_as_it_was_before_is_answered_as_before(server, docs):
    """Byte for byte: the same message where nothing is set, whatever was set and cleared."""
    request = search_pb2.SearchRequest(collection=docs, query=QUERY)

    def answered():
        response = server.search(request)
        for field in ("timings", "sequence", "search_id", "num_cached"):
            response.ClearField(field)
        return response.SerializeToString(deterministic=True)

    before = answered()
    server.collections.SetSearchDefaults(
        collection_pb2.SetSearchDefaultsRequest(collection=docs, search_defaults={"k": 3})
    )
    assert answered() != before
    server.collections.SetSearchDefaults(collection_pb2.SetSearchDefaultsRequest(collection=docs))
    assert answered() == before
