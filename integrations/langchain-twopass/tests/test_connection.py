"""How components reach a server, and what becomes of them when they are copied or written."""

import asyncio
import copy
import inspect
import json
import pickle
import threading

import pytest
from langchain_core.documents import Document
from langchain_core.load import dumpd, dumps, load, loads
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr, ValidationError

from langchain_twopass import (
    TwopassConnection,
    TwopassEmbeddings,
    TwopassRerank,
    TwopassRetriever,
    TwopassVectorStore,
)
from twopass.client import (
    AsyncClient,
    Client,
    InvalidArgumentError,
    UnauthenticatedError,
    UnavailableError,
)

QUESTION = "Which city is the capital of Australia?"
DOCUMENTS = [Document(id="a", page_content="Bees."), Document(id="b", page_content="Canberra.")]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TARGET", "API_KEY", "CA", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        monkeypatch.delenv(f"TWOPASS_{name}", raising=False)


def components(**connection):
    """One of each."""
    return (
        TwopassRetriever(collection_name="facts-of-langchain", k=1, **connection),
        TwopassRerank(**connection),
        TwopassEmbeddings(**connection),
        TwopassVectorStore(collection_name="facts-of-langchain", **connection),
    )


def use(component):
    match component:
        case TwopassRetriever():
            return component.invoke(QUESTION)[0].id
        case TwopassRerank():
            return [each.id for each in component.compress_documents(DOCUMENTS, QUESTION)]
        case TwopassEmbeddings():
            return component.embed_query(QUESTION)[:3]
    return [each.id for each in component.similarity_search(QUESTION, k=1)]


async def ause(component):
    match component:
        case TwopassRetriever():
            return (await component.ainvoke(QUESTION))[0].id
        case TwopassRerank():
            return [each.id for each in await component.acompress_documents(DOCUMENTS, QUESTION)]
        case TwopassEmbeddings():
            return (await component.aembed_query(QUESTION))[:3]
    return [each.id for each in await component.asimilarity_search(QUESTION, k=1)]


def test_every_component_speaks_tls_with_a_key(secure_server, facts):
    given = {"target": secure_server.target, "ca": str(secure_server.certificate)}
    assert TwopassEmbeddings(api_key=secure_server.api_key, **given).embed_query("a")
    rerank = TwopassRerank(api_key=SecretStr(secure_server.api_key), **given)
    assert rerank.compress_documents(DOCUMENTS, QUESTION)[0].id == "b"
    with pytest.raises(UnauthenticatedError):
        TwopassEmbeddings(**given).embed_query("a")
    with pytest.raises(UnavailableError) as caught:
        TwopassEmbeddings(target=secure_server.target).embed_query("a")
    assert caught.value.reason != ""


def test_variables_say_where_the_server_is(monkeypatch, secure_server):
    monkeypatch.setenv("TWOPASS_TARGET", secure_server.target)
    monkeypatch.setenv("TWOPASS_API_KEY", secure_server.api_key)
    monkeypatch.setenv("TWOPASS_CA", str(secure_server.certificate))
    assert TwopassEmbeddings().embed_query("a")


def test_the_port_and_the_machine_may_be_left_out():
    assert TwopassConnection().target == "localhost:50051"
    assert TwopassConnection().api_key is None


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_key_is_none(key, target):
    assert TwopassEmbeddings(target=target, api_key=key).embed_query("a")


def test_a_key_is_never_shown(target):
    for component in components(target=target, api_key="tp_secret")[:3]:
        assert "tp_secret" not in repr(component)
        assert "tp_secret" not in str(component)
        assert "tp_secret" not in component.model_dump_json()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"client_certificate": "a.pem", "ca": "system"}, "client_key: unset"),
        ({"client_key": "a.pem", "ca": "system"}, "client_certificate: unset"),
        (
            {"client_certificate": "a.pem", "client_key": "b.pem"},
            r'ca: unset, .* or "system"',
        ),
        ({"url": "localhost"}, r"url\n.*not permitted"),
        ({"client": "localhost"}, "client\n.*instance of Client"),
    ],
)
def test_a_wrong_field_is_named(fields, said):
    with pytest.raises(ValidationError, match=said):
        TwopassConnection(**fields)


def test_an_empty_variable_is_as_one_that_is_not_set(monkeypatch, target):
    for name in ("API_KEY", "CA", "CLIENT_CERTIFICATE"):
        monkeypatch.setenv(f"TWOPASS_{name}", "")
    assert TwopassEmbeddings(target=target).embed_query("a")


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InvalidArgumentError, match=r"ca: /nowhere\.pem: No such file"):
        TwopassEmbeddings(ca="/nowhere.pem").embed_query("a")


# --- a connection of one's own --------------------------------------------------------------------


async def test_a_client_that_is_given_makes_all_calls(target, facts):
    with Client(target) as client:
        ours, given = components(target=target), components(target="localhost:1", client=client)
        for mine, theirs in zip(ours, given, strict=True):
            assert use(theirs) == use(mine)
            assert await ause(theirs) == await ause(mine)
        for component in given:
            component.close()
        assert client.is_ready()  # what was given is not closed


async def test_a_client_for_asyncio_makes_asynchronous_calls(target, facts):
    async with AsyncClient(target) as client:
        for component in components(target="localhost:1", async_client=client):
            assert await ause(component)
            with pytest.raises(ValueError, match="client: unset, but async_client is given"):
                use(component)


async def test_a_secure_client_that_is_given_keeps_its_key_in_asyncio(secure_server):
    with secure_server.client() as client:
        assert await TwopassEmbeddings(client=client).aembed_query("a")


# --- loops and threads ----------------------------------------------------------------------------


def test_one_component_serves_one_event_loop_after_another(target, facts):
    for component in components(target=target):
        answers = [asyncio.run(ause(component)) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]


def test_one_component_serves_loops_in_several_threads(target, facts):
    retriever, *_ = components(target=target)
    answers = []

    def work():
        answers.append(asyncio.run(ause(retriever)))
        answers.append(use(retriever))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["canberra"] * 8


async def test_a_closed_component_opens_again(target, facts):
    for component in components(target=target):
        first, second = use(component), await ause(component)
        await component.aclose()
        assert (use(component), await ause(component)) == (first, second)
        component.close()


async def test_what_is_closed_for_threads_can_still_be_closed_for_asyncio(target, facts):
    for component in components(target=target):
        use(component), await ause(component)
        connection = getattr(component, "_connection", component)
        client = connection.connected_async()
        component.close()
        await component.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await client.list_collections()


# --- copies, pickles, JSON ------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps], ids="by={}".format)
async def test_a_copy_answers_as_the_component_does(target, facts, copied):
    for component in components(target=target, api_key="tp_unused"):
        before = use(component), await ause(component)
        twin = copied(component)
        if isinstance(twin, bytes):
            twin = pickle.loads(twin)
        assert (use(twin), await ause(twin)) == before


def test_a_copy_with_another_key_or_server_uses_it(secure_server, target):
    ours = TwopassEmbeddings(
        target=secure_server.target, ca=str(secure_server.certificate), api_key="tp_wrong"
    )
    with pytest.raises(UnauthenticatedError):
        ours.embed_query("a")
    key = SecretStr(secure_server.api_key)
    assert ours.model_copy(update={"api_key": key}).embed_query("a")
    assert ours.model_copy(update={"target": target, "ca": None}).embed_query("a")


def test_a_component_with_a_live_connection_says_why_it_is_not_pickled(target):
    with Client(target) as client:
        for component in components(client=client):
            with pytest.raises(TypeError, match="client: a live connection can't be pickled; give"):
                pickle.dumps(component)


def test_a_retriever_is_written_as_json_without_its_key_and_read_again(monkeypatch, target, facts):
    retriever = TwopassRetriever(
        target=target,
        api_key="tp_secret",
        collection_name=facts,
        k=2,
        filter={"year": {"$gte": 1800}},
        mode="hybrid",
        score_threshold=0.01,
    )
    written = dumps(retriever)
    assert "tp_secret" not in written
    assert json.loads(written)["id"] == ["langchain_twopass", "retrievers", "TwopassRetriever"]
    monkeypatch.setenv("TWOPASS_API_KEY", "tp_other")
    kept: dict[str, object] = {"valid_namespaces": ["langchain_twopass"]}
    if "allowed_objects" in inspect.signature(loads).parameters:  # since langchain-core 1.2
        kept["allowed_objects"] = [TwopassRetriever]
    read = loads(written, secrets_from_env=True, **kept)
    assert isinstance(read, TwopassRetriever)
    assert read.api_key.get_secret_value() == "tp_other"
    for field in ("target", "collection_name", "k", "filter", "mode", "score_threshold"):
        assert getattr(read, field) == getattr(retriever, field)
    again = load(dumpd(read), secrets_map={"TWOPASS_API_KEY": "tp_mapped"}, **kept)
    assert again.api_key.get_secret_value() == "tp_mapped"
    assert [each.id for each in read.invoke(QUESTION)] == [
        each.id for each in retriever.invoke(QUESTION)
    ]


def test_fields_are_configurable_in_a_chain(target, facts):
    retriever = TwopassRetriever(target=target, collection_name=facts).configurable_fields(
        k=ConfigurableField(id="k"), filter=ConfigurableField(id="filter")
    )
    given = {"configurable": {"k": 1, "filter": {"year": {"$lt": 1900}}}}
    assert [each.id for each in retriever.invoke(QUESTION, config=given)] == ["wellington"]
    assert len(retriever.invoke(QUESTION)) == 4
