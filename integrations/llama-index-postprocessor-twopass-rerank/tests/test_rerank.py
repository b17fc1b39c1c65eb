"""The postprocessor: the second pass over nodes from anywhere."""

import asyncio
import pickle
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from llama_index.postprocessor.twopass_rerank import TwopassRerank
from twopass.client import InvalidArgumentError, NotFoundError, UnauthenticatedError

TEXTS = [
    "Canberra is the capital of Australia.",
    "Bees make honey from nectar.",
    "The moon pulls at the sea.",
    "Glass is made of sand.",
]
QUESTION = "Which insect feeds on nectar?"


def nodes_of(texts: list[str] = TEXTS, **metadata: Any) -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(id_=str(n), text=text, metadata=metadata), score=n / 10)
        for n, text in enumerate(texts)
    ]


@pytest.fixture
def rerank(client: Any) -> Callable[..., TwopassRerank]:
    def made(**kwargs: Any) -> TwopassRerank:
        return TwopassRerank(client=client, **kwargs)

    return made


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., list[NodeWithScore]]:
    """Reranks nodes, in an event loop of its own or in none."""

    def asked(
        reranker: TwopassRerank, nodes: list[NodeWithScore], **query: Any
    ) -> list[NodeWithScore]:
        query = query or {"query_str": QUESTION}
        if request.param == "sync":
            return reranker.postprocess_nodes(nodes, **query)
        return asyncio.run(reranker.apostprocess_nodes(nodes, **query))

    return asked


def test_the_class_is_one_of_postprocessors_and_llama_hub_finds_it():
    assert BaseNodePostprocessor.__name__ in [b.__name__ for b in TwopassRerank.__mro__]
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    hub = project["tool"]["llamahub"]
    module = import_module(hub["import_path"])
    assert all(hasattr(module, name) for name in hub["class_authors"])


def test_the_best_nodes_come_first_with_their_scores(rerank, ask):
    best, second = ask(rerank(top_n=2), nodes_of())
    assert best.node.node_id == "1"
    assert 1 >= best.score > second.score >= 0
    passes = best.metadata["twopass"]
    assert passes["score"] == best.score
    assert (passes["rank"], passes["retrieval_rank"], passes["retrieval_score"]) == (1, 2, 0.1)
    assert passes["rerank_status"] == "complete"
    assert passes["reranker"]
    assert 0 < passes["timings"]["rerank_ms"] <= passes["timings"]["total_ms"]


def test_scores_are_those_of_the_client(rerank, ask, client):
    found = {each.node_id: each.score for each in ask(rerank(top_n=0), nodes_of())}
    result = client.rerank(QUESTION, TEXTS)
    assert found == {str(hit.index): hit.score for hit in result.hits}


def test_a_query_bundle_is_as_its_text(rerank, ask):
    bundled = ask(rerank(), nodes_of(), query_bundle=QueryBundle(QUESTION))
    assert [n.score for n in bundled] == [n.score for n in ask(rerank(), nodes_of())]


def test_no_nodes_are_no_call(ask):
    with_nobody = TwopassRerank(target="localhost:1", timeout=1)
    assert ask(with_nobody, []) == []
    with_nobody.close()


def test_a_query_is_needed(rerank, ask):
    with pytest.raises(ValueError, match="query_bundle, query_str: none given"):
        ask(rerank(), nodes_of(), query_bundle=None)


def test_the_model_reads_the_metadata_that_embeddings_have(rerank, ask):
    nodes = nodes_of(["It is sweet.", "It is salty."])
    nodes[0].node.metadata = {"topic": "honey of bees"}
    top = ask(rerank(top_n=1), nodes, query_str="honey of bees")[0]
    assert top.node_id == "0"
    bare = ask(rerank(top_n=0, metadata_mode=MetadataMode.NONE), nodes, query_str="honey of bees")
    assert {n.node_id: n.score for n in bare}["0"] < top.score
    nodes[0].node.excluded_embed_metadata_keys = ["topic"]
    assert ask(rerank(top_n=0), nodes, query_str="honey of bees")[0].score == bare[0].score


def test_nodes_that_were_given_stay_as_they_are(rerank, ask):
    nodes = nodes_of(year=2020)
    before = [each.to_dict() for each in nodes]
    reranked = ask(rerank(), nodes)
    assert [each.to_dict() for each in nodes] == before
    assert all(each.metadata["year"] == 2020 for each in reranked)
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert "twopass" not in reranked[0].node.get_content(mode)


def test_what_the_first_pass_said_is_kept(rerank, ask):
    nodes = nodes_of(twopass={"dense_score": 0.5, "rank": 9})
    passes = ask(rerank(), nodes)[0].metadata["twopass"]
    assert (passes["dense_score"], passes["rank"]) == (0.5, 1)


def test_nodes_below_the_least_score_are_left_out(rerank, ask):
    best, second = ask(rerank(), nodes_of())
    least = (best.score + second.score) / 2
    assert [n.node_id for n in ask(rerank(top_n=0, min_score=least), nodes_of())] == ["1"]


def test_a_blend_gives_the_retrievers_scores_weight(rerank, ask):
    def order(blend: float | None) -> list[str]:
        return [n.node_id for n in ask(rerank(top_n=0, blend=blend), nodes_of())]

    assert order(1.0) == ["3", "2", "1", "0"]
    assert order(0.0) == order(None) != order(1.0)
    unscored = [NodeWithScore(node=each.node) for each in nodes_of()]
    with pytest.raises(InvalidArgumentError, match="first_pass_score"):
        ask(rerank(blend=0.5), unscored)


def test_long_nodes_are_cut_read_in_windows_or_refused(rerank, ask):
    text = "The committee adjourned without a decision. " * 80 + TEXTS[1]
    cut = ask(rerank(), nodes_of([text]))[0]
    assert cut.metadata["twopass"]["truncated"]
    windowed = ask(rerank(truncation="max_window"), nodes_of([text]))[0]
    assert windowed.score > cut.score
    start, end = windowed.metadata["twopass"]["span"]
    assert TEXTS[1] in text[start:end]
    with pytest.raises(InvalidArgumentError):
        ask(rerank(truncation="reject"), nodes_of([text]))


def test_a_node_without_text_is_scored_among_the_others(rerank, ask):
    found = ask(rerank(top_n=0), nodes_of([*TEXTS, "", "a\0b"]))
    assert {each.node_id for each in found} == {"0", "1", "2", "3", "4", "5"}
    assert found[0].node_id == "1"


def test_an_unknown_model_is_named(rerank, ask):
    with pytest.raises(NotFoundError, match="no-such-model"):
        ask(rerank(model="no-such-model"), nodes_of())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.sampled_from([*TEXTS, "x", "été"]), max_size=8), top_n=st.integers(0, 9))
def test_any_nodes_come_back_at_most_once_in_falling_order(rerank, texts, top_n):
    found = rerank(top_n=top_n).postprocess_nodes(nodes_of(texts), query_str=QUESTION)
    assert len(found) == (min(top_n, len(texts)) if top_n else len(texts))
    assert len({n.node_id for n in found}) == len(found)
    scores = [n.score for n in found]
    assert scores == sorted(scores, reverse=True)
    assert all(n.text == texts[int(n.node_id)] for n in found)


class Events(BaseEventHandler):
    """Keeps the names of events."""

    names: list[str] = []  # noqa: RUF012  # a field of pydantic

    def handle(self, event: Any, **_: Any) -> None:
        self.names.append(event.class_name())


def test_events_and_callbacks_tell_of_reranking(client, ask):
    events, debug = Events(), LlamaDebugHandler(print_trace_on_end=False)
    get_dispatcher().add_event_handler(events)
    try:
        ask(TwopassRerank(client=client, callback_manager=CallbackManager([debug])), nodes_of())
    finally:
        get_dispatcher().event_handlers.remove(events)
    assert [name for name in events.names if "ReRank" in name] == [
        "ReRankStartEvent",
        "ReRankEndEvent",
    ]
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1


def test_a_query_engine_reranks_what_its_index_finds(rerank):
    nodes = [each.node for each in nodes_of()]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4))
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=4, node_postprocessors=[rerank(top_n=1)]
    )
    assert [n.node_id for n in engine.query(QUESTION).source_nodes] == ["1"]
    response = asyncio.run(engine.aquery(QUESTION))
    assert [n.node_id for n in response.source_nodes] == ["1"]
    assert "twopass" not in str(response)  # a MockLLM answers what it is asked


def test_settings_survive_serialisation_and_pickling_and_the_key_stays_out_of_json(target):
    reranker = TwopassRerank(3, target=target, api_key="secret", min_score=0.1)
    assert "secret" not in reranker.to_json() + repr(reranker)
    read = TwopassRerank.from_json(reranker.to_json())
    assert (read.top_n, read.target, read.min_score) == (3, target, 0.1)
    again = pickle.loads(pickle.dumps(reranker))
    assert again.api_key == "secret"
    assert len(again.postprocess_nodes(nodes_of(), query_str=QUESTION)) == 1
    for each in (reranker, read, again):
        each.close()


def test_a_reranker_over_a_live_client_can_not_be_pickled(rerank):
    with pytest.raises(TypeError, match="client: a live connection can't be pickled"):
        pickle.dumps(rerank())


def test_a_server_with_tls_asks_for_a_key(secure_server, ask):
    connection = {"target": secure_server.target, "ca": str(secure_server.certificate)}
    own = TwopassRerank(api_key=secure_server.api_key, **connection)
    assert ask(own, nodes_of())[0].node_id == "1"
    own.close()
    without = TwopassRerank(**connection)
    with pytest.raises(UnauthenticatedError):
        ask(without, nodes_of())
    without.close()


async def test_closing_ends_own_connections_alone(target, client):
    own = TwopassRerank(target=target)
    assert len(await own.apostprocess_nodes(nodes_of(), query_str=QUESTION)) == 2
    await own.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        own.postprocess_nodes(nodes_of(), query_str=QUESTION)
    TwopassRerank(client=client).close()
    assert client.is_ready()
