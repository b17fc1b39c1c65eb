"""Every option of the contract can be given on every surface: the next field can't be forgotten.

The fields come from the protos. A surface is used with all that it has, by calls that a server
records, and what no call has set must stand below with the reason why nobody can set it there.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from typer.testing import CliRunner

from twopass.client import (
    AsyncClient,
    Client,
    Collapse,
    ConvexFusion,
    Diversity,
    Fields,
    Highlight,
    Passage,
    Phrase,
    Prefix,
    ReciprocalRankFusion,
    Rerank,
    Retrieve,
    SearchDefaults,
    Spans,
    WordClauses,
    field,
)
from twopass.commands.main import app
from twopass.server.http.rpcs.schemas import Schemas
from twopass.server.models.passages import Limits
from twopass.v1 import collection_pb2, rerank_pb2, search_pb2

ROOT = Path(__file__).parents[2]
# Messages that stand for one value each.
WHOLE = {
    "twopass.v1.Filter",
    "twopass.v1.Vector",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
}
RESPONSES = {
    "/twopass.v1.SearchService/Search": (search_pb2.SearchRequest, search_pb2.SearchResponse),
    "/twopass.v1.RerankService/Rerank": (rerank_pb2.RerankRequest, rerank_pb2.RerankResponse),
    "/twopass.v1.CollectionService/GetCollection": (
        collection_pb2.GetCollectionRequest,
        collection_pb2.GetCollectionResponse,
    ),
    "/twopass.v1.CollectionService/SetSearchDefaults": (
        collection_pb2.SetSearchDefaultsRequest,
        collection_pb2.SetSearchDefaultsResponse,
    ),
}


def fields_of(message: Descriptor, before: str = "") -> Iterator[str]:
    """The paths of all fields of a message that hold a value."""
    for each in message.fields:
        inner = inside(each)
        if inner is None:
            yield before + each.name
        else:
            yield from fields_of(inner, f"{before}{each.name}.")


def given(message: Message, before: str = "") -> Iterator[str]:
    """The paths of the fields that are set in a message."""
    for each, value in message.ListFields():
        if inside(each) is None:
            yield before + each.name
        else:
            for one in value if each.is_repeated else (value,):
                yield from given(one, f"{before}{each.name}.")


def inside(each: FieldDescriptor) -> Descriptor | None:
    message = each.message_type
    return None if message is None or message.full_name in WHOLE else message


class Recorder(grpc.GenericRpcHandler):
    """Answers every call with nothing, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[Message] = []

    def service(self, details):
        request, response = RESPONSES[details.method]

        def answer(message, _):
            self.asked.append(message)
            return response()

        return grpc.unary_unary_rpc_method_handler(
            answer, request.FromString, response.SerializeToString
        )

    def given(self, kind: type[Message]) -> set[str]:
        """What calls have set in messages of a kind."""
        return {path for asked in self.asked if isinstance(asked, kind) for path in given(asked)}


@pytest.fixture
def recorder() -> Iterator[tuple[Recorder, str]]:
    recorder, server = Recorder(), grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((recorder,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield recorder, f"127.0.0.1:{port}"
    server.stop(None).wait()


def missing(kind: type[Message], reached: set[str], unreachable: dict[str, str]) -> set[str]:
    """Fields that no call has set and no reason excuses; fails on reasons that are none."""
    every = set(fields_of(kind.DESCRIPTOR))
    assert not unreachable.keys() - every, "an excuse for a field that is not there"
    assert not unreachable.keys() & reached, "an excuse for a field that can be set"
    return every - reached - unreachable.keys()


# --- the command line -----------------------------------------------------------------------------

SEARCHES_TYPED = """
search docs question -n 3 --offset 1 -k 20 --mode hybrid -f lang=en --required a --excluded b
  --optional c --prefix d --rrf-k 10 --ef-search 20 --nprobe 4 --encoder-instruction find --depth 7
  --reranker mini --truncation reject --min-score 0.1 --answer-threshold 0.2 --rerank --blend 0.3
  --instruction find --query-truncation reject --spans --highlight --pruned --span-window 32
  --max-spans 2 --span-min-score 0.1 --neighbors 1 --query-id q1 --diversity 0.5
  --diversity-depth 9 --collapse 0.9 --collapse-by lang --max-per-value 2 --max-listed 3
  --time-budget 50 --no-fallback --min-sequence s1 --vectors
search docs question --alpha 0.3
"""
RERANKS_TYPED = """
rerank question FILE -n 3 --instruction find --query-truncation reject --reranker mini
  --truncation reject --min-score 0.1 --spans --highlight --pruned --span-window 32 --max-spans 2
  --span-min-score 0.1 --neighbors 1
"""
DEFAULTS_TYPED = """
collections defaults docs --mode hybrid -k 20 --rrf-k 10 --rerank --depth 7 --reranker mini
  --blend 0.1 --min-score 0.1 --answer-threshold 0.2 --truncation reject --query-truncation reject
  --chosen-by me
collections defaults docs --alpha 0.3
"""
NOT_TYPED = {
    search_pb2.SearchRequest: {
        "vector": "nobody types an embedding",
        "retrieve.words.excluded.prefix": "a rare wish; clients have it",
        "retrieve.words.optional.prefix": "a rare wish; clients have it",
        "spans.highlight.escape_html": "a terminal is no page of HTML",
    },
    rerank_pb2.RerankRequest: {
        "blend": "lines of a file have no score of a first pass",
        "candidates.title": "a line of a file is a text",
        "candidates.id": "a line of a file is a text",
        "candidates.first_pass_score": "a line of a file is a text",
        "spans.highlight.escape_html": "a terminal is no page of HTML",
    },
    collection_pb2.SetSearchDefaultsRequest: {
        "search_defaults.reranker_revision": "the server fills it in by the reranker's name",
        "search_defaults.set_time": "the server fills it in",
    },
}


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (search_pb2.SearchRequest, SEARCHES_TYPED),
        (rerank_pb2.RerankRequest, RERANKS_TYPED),
        (collection_pb2.SetSearchDefaultsRequest, DEFAULTS_TYPED),
    ],
    ids=["search", "rerank", "defaults"],
)
def test_a_command_has_a_flag_for_every_option(recorder, tmp_path, kind, typed):
    recorded, target = recorder
    lines = tmp_path / "lines.txt"
    lines.write_text("a passage\n")
    for command in re.split(r"\n(?=\S)", typed.strip()):
        arguments = command.replace("FILE", str(lines)).split()
        ended = CliRunner().invoke(app, [*arguments, "--json", "--target", target])
        assert ended.exit_code == 0, ended.output
    assert not missing(kind, recorded.given(kind), NOT_TYPED[kind])


# --- the Python clients ---------------------------------------------------------------------------

SPANS = Spans(
    unit="window",
    window_tokens=32,
    hits=2,
    max_spans=2,
    min_score=0.1,
    pruned_text=True,
    neighbors=1,
    highlight=Highlight(escape_html=True),
)
BOTH = [Phrase("a"), Prefix("b")]


def ask_for_everything(client) -> list:
    """Calls of either client that set all that it has."""
    return [
        client.search(
            "docs",
            "question",
            vector=[0.5],
            top_n=3,
            retrieve=Retrieve(
                mode="hybrid",
                k=20,
                fusion=ReciprocalRankFusion(10),
                ef_search=20,
                nprobe=4,
                words=WordClauses(required=BOTH, excluded=BOTH, optional=BOTH),
                instruction="find",
            ),
            rerank=Rerank(
                depth=7,
                model="mini",
                blend=0.3,
                truncation="reject",
                min_score=0.1,
                instruction="find",
                enabled=True,
                answer_threshold=0.2,
            ),
            filter=field("lang").equals("en"),
            fields=Fields(vector=True),
            time_budget=0.05,
            allow_fallback=False,
            min_sequence="s1",
            offset=1,
            query_truncation="reject",
            spans=SPANS,
            query_id="q1",
            diversity=Diversity(relevance_weight=0.5, depth=9),
            collapse=Collapse(
                similarity=0.9, equal_text=True, field="lang", max_per_value=2, max_listed=3
            ),
        ),
        client.search("docs", "question", retrieve=Retrieve(fusion=ConvexFusion(0.3))),
        client.rerank(
            "question",
            [Passage("text", title="title", id="id", first_pass_score=0.5)],
            top_n=3,
            model="mini",
            blend=0.3,
            truncation="reject",
            min_score=0.1,
            return_text=True,
            instruction="find",
            query_truncation="reject",
            spans=SPANS,
        ),
        client.set_search_defaults(
            "docs",
            SearchDefaults(
                mode="hybrid",
                k=20,
                fusion=ReciprocalRankFusion(10),
                rerank=True,
                depth=7,
                reranker="mini",
                reranker_revision="abc",
                blend=0.1,
                min_score=0.1,
                answer_threshold=0.2,
                truncation="reject",
                query_truncation="reject",
                chosen_by="me",
            ),
        ),
        client.set_search_defaults("docs", SearchDefaults(fusion=ConvexFusion(0.3))),
    ]


def ask_as_threads_do(target: str) -> None:
    with Client(target) as client:
        ask_for_everything(client)


def ask_as_coroutines_do(target: str) -> None:
    async def ask() -> None:
        async with AsyncClient(target) as client:
            for call in ask_for_everything(client):
                assert inspect.isawaitable(call)
                await call

    asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_as_threads_do, ask_as_coroutines_do])
def test_python_clients_have_an_argument_for_every_option(recorder, ask: Callable[[str], None]):
    recorded, target = recorder
    ask(target)
    told = {"search_defaults.set_time": "the server fills it in"}
    for kind, excused in (
        (search_pb2.SearchRequest, {}),
        (rerank_pb2.RerankRequest, {}),
        (collection_pb2.SetSearchDefaultsRequest, told),
    ):
        assert not missing(kind, recorded.given(kind), excused)


# --- TypeScript, HTTP, the page -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "in_its_own_way"),
    [
        ("SearchRequest", {"collection", "query", "filter", "timeBudget"}),
        ("RerankRequest", {"query", "candidates"}),
    ],
)
def test_methods_of_typescript_take_every_field_as_it_is_but_a_few(schema, in_its_own_way):
    """Their options are the request's own type, so that a new field is there with the stubs."""
    text = (ROOT / "client/typescript/src/client.ts").read_text()
    found = re.search(rf'Fields<typeof {schema}Schema, ([^>]*)>(?:, ("\w+")>)?', text)
    assert found is not None
    assert set(re.findall(r"\w+", " ".join(filter(None, found.groups())))) == in_its_own_way


@pytest.mark.parametrize(
    "kind",
    [
        search_pb2.SearchRequest,
        search_pb2.BatchSearchRequest,
        rerank_pb2.RerankRequest,
        collection_pb2.SetSearchDefaultsRequest,
    ],
    ids=lambda kind: kind.DESCRIPTOR.name,
)
def test_openapi_describes_every_option(kind):
    limits = Limits(max_candidates=10, max_documents=10, max_passage_bytes=10, max_query_bytes=10)
    components = Schemas([kind.DESCRIPTOR], [], limits).components
    described = [kind.DESCRIPTOR]
    while described:
        message = described.pop()
        properties = components[message.name]["properties"]
        assert properties.keys() == {each.name for each in message.fields}
        assert all(each["description"] for each in properties.values())
        described += filter(None, map(inside, message.fields))


ON_THE_PAGE = {
    *("query", "top_n", "retrieve.mode", "retrieve.k", "rerank.enabled", "rerank.depth"),
    *("rerank.blend", "rerank.model", "filter", "spans.hits", "spans.max_spans", "time_budget"),
    *("fields.text", "fields.metadata", "fields.metadata_as_json"),
}
NOT_ON_THE_PAGE = {
    "of the path": {"collection"},
    "defaults of the collection or the server count": {
        *("retrieve.rrf.k", "retrieve.convex.alpha", "retrieve.ef_search", "retrieve.nprobe"),
        *("retrieve.instruction", "rerank.truncation", "rerank.min_score", "rerank.instruction"),
        *("rerank.answer_threshold", "query_truncation", "fallback", "max_answer_bytes"),
        *("spans.unit", "spans.window_tokens", "spans.min_score"),
    },
    "for programs": {
        *("vector", "min_sequence", "query_id", "offset", "fields.vector", "spans.pruned_text"),
        *("spans.neighbors", "spans.highlight.pre_tag", "spans.highlight.post_tag"),
        *("spans.highlight.escape_html", "retrieve.words.required.phrase"),
        *("retrieve.words.required.prefix", "retrieve.words.excluded.phrase"),
        *("retrieve.words.excluded.prefix", "retrieve.words.optional.phrase"),
        "retrieve.words.optional.prefix",
    },
    "the page shows both orders whole, each hit in its place": {
        *("diversity.relevance_weight", "diversity.depth", "collapse.similarity"),
        *("collapse.equal_text", "collapse.field", "collapse.max_per_value"),
        "collapse.max_listed",
    },
}


def test_the_page_sends_every_option_or_leaves_it_out_on_purpose():
    left_out = set().union(*NOT_ON_THE_PAGE.values())
    assert not ON_THE_PAGE & left_out
    assert ON_THE_PAGE | left_out == set(fields_of(search_pb2.SearchRequest.DESCRIPTOR))
    sent = (ROOT / "server/http/ui/assets/search/call.js").read_text()
    names = {path.rpartition(".")[2] for path in ON_THE_PAGE}
    assert not {name for name in names if not re.search(rf"\b{name}\b", sent)}
