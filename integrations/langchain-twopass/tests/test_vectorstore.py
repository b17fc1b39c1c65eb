"""The vector store: what it writes, finds and scores."""

import asyncio
import itertools
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, index

from langchain_twopass import TwopassEmbeddings, TwopassRetriever, TwopassVectorStore
from twopass.client import (
    AlreadyExistsError,
    Client,
    InvalidArgumentError,
    NotFoundError,
    OverloadedError,
    Retrieve,
    Schema,
)

QUESTION = "Which city is the capital of Australia?"
TEXTS = [
    "Canberra is the capital city of Australia.",
    "Sydney is the largest city of Australia.",
    "Bees make honey from the nectar of flowers.",
    "The moon pulls at the sea and so makes the tides.",
    "Canberra is the capital of Australia, a city of parks.",
]
METADATAS = [{"year": 1913 + number, "even": number % 2 == 0} for number in range(len(TEXTS))]


class Plane(Embeddings):
    """Texts that are two numbers as vectors; any other text is one too."""

    def embed_query(self, text: str) -> list[float]:
        try:
            x, y = map(float, text.split())
        except ValueError:
            return [1.0, 0.0]
        return [x, y]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


@pytest.fixture
def store(target: str, name: str):
    made = TwopassVectorStore.from_texts(
        TEXTS,
        None,
        METADATAS,
        ids=[str(number) for number in range(len(TEXTS))],
        collection_name=name,
        target=target,
    )
    yield made
    made.close()


@pytest.fixture
def plane(target: str, name: str):
    made = TwopassVectorStore(Plane(), collection_name=name, target=target)
    yield made
    made.close()


def ids(documents):
    return [document.id for document in documents]


# --- scores ---------------------------------------------------------------------------------------


def test_scores_are_similarities_of_the_first_pass(store, client: Client, name):
    expected = client.search(name, QUESTION, top_n=3, retrieve=Retrieve("dense"), rerank=False).hits
    found = store.similarity_search_with_score(QUESTION, k=3)
    assert [(document.id, score) for document, score in found] == [
        (hit.id, hit.dense_score) for hit in expected
    ]
    relevant = store.similarity_search_with_relevance_scores(QUESTION, k=3)
    assert [score for _, score in relevant] == [(1 + hit.dense_score) / 2 for hit in expected]


def test_scores_of_the_second_pass_are_calibrated_relevance(store, client: Client, name):
    expected = client.search(name, QUESTION, top_n=3, retrieve=Retrieve("dense")).hits
    for found in (
        store.similarity_search_with_score(QUESTION, k=3, rerank=True),
        store.similarity_search_with_relevance_scores(QUESTION, k=3, rerank=True),
    ):
        assert [(document.id, score) for document, score in found] == [
            (hit.id, hit.score) for hit in expected
        ]


@pytest.mark.parametrize(
    ("mode", "score"), [("lexical", "lexical_score"), ("hybrid", "fused_score")]
)
def test_scores_of_a_mode_are_those_that_ordered_it(store, client: Client, name, mode, score):
    hits = client.search(name, QUESTION, top_n=3, retrieve=Retrieve(mode), rerank=False).hits
    found = store.similarity_search_with_score(QUESTION, k=3, mode=mode)
    assert [each for _, each in found] == [getattr(hit, score) for hit in hits]


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
async def test_every_mode_and_both_passes_run_over_vectors_of_ones_own(target, name, mode):
    store = await TwopassVectorStore.afrom_texts(
        TEXTS,
        DeterministicFakeEmbedding(size=6),
        ids=[str(number) for number in range(len(TEXTS))],
        collection_name=name,
        target=target,
    )
    found = store.similarity_search_with_score(QUESTION, k=5, mode=mode, rerank=True, blend=0.0)
    assert found == await store.asimilarity_search_with_score(
        QUESTION, k=5, mode=mode, rerank=True, blend=0.0
    )
    assert found[0][0].id == "0"
    assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
    retriever = store.as_twopass_retriever(mode=mode, blend=0.0)
    assert retriever.invoke(QUESTION)[0].id == "0"
    await store.aclose()


def test_a_mode_without_relevance_says_what_has_one(store):
    with pytest.raises(ValueError, match=r"mode: \'hybrid\' given, .* set rerank=True, or mode="):
        store.similarity_search_with_relevance_scores(QUESTION, mode="hybrid")


def test_documents_that_the_second_pass_does_not_read_are_never_scored(store):
    with pytest.raises(ValueError, match=r"rerank_depth: 1 given, .* or set fetch_k"):
        store.similarity_search_with_score(QUESTION, rerank=True, rerank_depth=1)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    query=st.tuples(st.integers(-3, 3), st.integers(-3, 3)).filter(any),
    k=st.integers(1, 30),
)
def test_relevance_is_half_of_one_and_the_cosine_and_falls(grid, query, k):
    found = grid.similarity_search_with_relevance_scores(f"{query[0]} {query[1]}", k=k)
    assert len(found) == min(k, len(GRID))
    for document, relevance in found:
        assert relevance == pytest.approx((1 + _cosine(query, document.page_content)) / 2, abs=1e-6)
        assert 0 <= relevance <= 1
    relevances = [relevance for _, relevance in found]
    assert relevances == sorted(relevances, reverse=True)


GRID = [f"{x} {y}" for x, y in itertools.product(range(-2, 3), repeat=2) if x or y]


@pytest.fixture(scope="module")
def grid(target: str, client: Client):
    store = TwopassVectorStore(Plane(), collection_name="grid-of-langchain", target=target)
    store.add_texts(GRID, ids=[text.replace(" ", "_") for text in GRID])
    yield store
    store.delete_collection()
    store.close()


def _cosine(query, text):
    one, other = np.array(query, float), np.array(text.split(), float)
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def test_a_threshold_of_relevance_keeps_what_reaches_it(grid):
    retriever = grid.as_retriever(
        search_type="similarity_score_threshold",
        search_kwargs={"score_threshold": 0.95, "k": 24},
    )
    found = {document.page_content for document in retriever.invoke("1 0")}
    assert found == {text for text in GRID if (1 + _cosine((1, 0), text)) / 2 >= 0.95}


def test_without_bounds_of_the_metric_there_is_no_relevance(target, new_name):
    schema = Schema(metric="inner_product")
    store = TwopassVectorStore(Plane(), collection_name=new_name(), schema=schema, target=target)
    store.add_texts(["3 4"])
    assert store.similarity_search_with_score("2 1")[0][1] == 10
    with pytest.raises(ValueError, match=r"relevance_score_fn: unset, and the metric .* no bounds"):
        store.similarity_search_with_relevance_scores("2 1")
    own = TwopassVectorStore(
        Plane(),
        collection_name=store.collection_name,
        relevance_score_fn=lambda score: score / 100,
        target=target,
    )
    assert own.similarity_search_with_relevance_scores("2 1")[0][1] == pytest.approx(0.1)
    store.close()
    own.close()


# --- searches -------------------------------------------------------------------------------------


def test_a_search_filters_by_metadata(store):
    assert set(ids(store.similarity_search(QUESTION, k=5, filter={"even": True}))) == {
        "0",
        "2",
        "4",
    }
    retriever = store.as_retriever(search_kwargs={"k": 5, "filter": {"year": {"$gt": 1915}}})
    assert set(ids(retriever.invoke(QUESTION))) == {"3", "4"}


def test_a_retriever_of_the_store_runs_both_passes_where_it_is_told(store, client, name):
    expected = client.search(name, QUESTION, top_n=4, retrieve=Retrieve("hybrid"))
    retriever = store.as_retriever(search_kwargs={"rerank": True, "mode": "hybrid"})
    assert ids(retriever.invoke(QUESTION)) == [hit.id for hit in expected.hits]


def test_the_retriever_of_both_passes_has_the_stores_connection(store, client, name):
    retriever = store.as_twopass_retriever(k=2, details_key="search")
    assert isinstance(retriever, TwopassRetriever)
    found = retriever.invoke(QUESTION)
    assert ids(found) == [hit.id for hit in client.search(name, QUESTION, top_n=2).hits]
    assert found[0].metadata["search"]["rerank_status"] == "complete"


def test_details_are_in_metadata_where_they_are_asked_for(target, store, name):
    told = TwopassVectorStore(collection_name=name, target=target, details_key="twopass")
    (document,) = told.similarity_search(QUESTION, k=1, rerank=True)
    assert document.metadata["twopass"]["rerank_status"] == "complete"
    assert document.metadata["relevance_score"] == document.metadata["twopass"]["score"]
    (plain,) = store.similarity_search(QUESTION, k=1, rerank=True)
    assert plain.metadata.keys() == {"year", "even"}
    told.close()


def test_a_vector_finds_what_its_text_finds(store, target):
    vector = TwopassEmbeddings(target=target).embed_query(QUESTION)
    by_vector = store.similarity_search_by_vector(vector, k=3)
    assert ids(by_vector) == ids(store.similarity_search(QUESTION, k=3))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    query=st.tuples(st.integers(-3, 3), st.integers(-3, 3)).filter(any),
    k=st.integers(1, 6),
    lambda_mult=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
)
def test_diverse_documents_are_those_of_carbonell_and_goldstein(grid, query, k, lambda_mult):
    asked = f"{query[0]} {query[1]}"
    candidates = grid.similarity_search(asked, k=12)
    chosen = grid.max_marginal_relevance_search(asked, k=k, fetch_k=12, lambda_mult=lambda_mult)
    texts = [document.page_content for document in chosen]
    assert len(texts) == len(set(texts)) == k
    for count in range(1, k):  # each next is the best by the formula, up to rounding
        left = [each.page_content for each in candidates if each.page_content not in texts[:count]]

        def value(text: str, so_far=tuple(texts[:count])) -> float:
            nearest = max(_cosine([float(x) for x in one.split()], text) for one in so_far)
            return lambda_mult * _cosine(query, text) - (1 - lambda_mult) * nearest

        assert value(texts[count]) == pytest.approx(max(map(value, left)), abs=1e-5)


async def test_diversity_avoids_near_duplicates_where_the_server_embeds(store):
    alike = store.similarity_search(QUESTION, k=2)
    diverse = store.max_marginal_relevance_search(QUESTION, k=2, fetch_k=5, lambda_mult=0.1)
    assert set(ids(alike)) == {"0", "4"}
    assert set(ids(diverse)) != {"0", "4"}
    awaited = await store.amax_marginal_relevance_search(QUESTION, k=2, fetch_k=5, lambda_mult=0.1)
    assert ids(awaited) == ids(diverse)
    retriever = store.as_retriever(
        search_type="mmr", search_kwargs={"k": 2, "fetch_k": 5, "lambda_mult": 0.1}
    )
    assert ids(retriever.invoke(QUESTION)) == ids(await retriever.ainvoke(QUESTION)) == ids(diverse)


async def test_asyncio_finds_and_scores_the_same(store, target):
    assert ids(await store.asimilarity_search(QUESTION)) == ids(store.similarity_search(QUESTION))
    for options in ({}, {"rerank": True}, {"mode": "lexical"}):
        awaited = await store.asimilarity_search_with_score(QUESTION, **options)
        assert awaited == store.similarity_search_with_score(QUESTION, **options)
    awaited = await store.asimilarity_search_with_relevance_scores(QUESTION, score_threshold=0.5)
    assert awaited == store.similarity_search_with_relevance_scores(QUESTION, score_threshold=0.5)
    vector = await TwopassEmbeddings(target=target).aembed_query(QUESTION)
    assert ids(await store.asimilarity_search_by_vector(vector)) == ids(
        store.similarity_search_by_vector(vector)
    )
    assert ids(await store.amax_marginal_relevance_search_by_vector(vector, k=2)) == ids(
        store.max_marginal_relevance_search_by_vector(vector, k=2)
    )


# --- writing --------------------------------------------------------------------------------------


async def test_many_texts_are_written_read_and_deleted(plane):
    count = 2_100
    texts = [f"{number} 1" for number in range(count)]
    given = plane.add_texts(texts[:1_050], batch_size=500)
    given += await plane.aadd_texts(texts[1_050:], batch_size=500)
    assert len(set(given)) == count
    read = plane.get_by_ids(given)
    assert [document.page_content for document in read] == texts
    assert ids(await plane.aget_by_ids([*given, given[0], "unknown"])) == given
    assert plane.delete(given[:2_050])
    assert ids(plane.get_by_ids(given)) == given[2_050:]


async def test_documents_too_large_for_one_answer_are_read_in_several(target, client, name):
    client.create_collection(name)
    texts = {f"{number:02}": f"{number} " + "park " * 2_000 for number in range(20)}
    client.upsert(name, ({"id": key, "text": text} for key, text in texts.items()))
    with Client(target, max_message_bytes=60_000) as small:
        store = TwopassVectorStore(collection_name=name, client=small)
        assert {d.id: d.page_content for d in store.get_by_ids([*texts, "unknown"])} == texts
        assert ids(await store.aget_by_ids(list(texts))) == list(texts)
    with Client(target, max_message_bytes=5_000) as tiny:
        store = TwopassVectorStore(collection_name=name, client=tiny)
        with pytest.raises(OverloadedError, match="at most 5,000"):
            store.get_by_ids(list(texts))


async def test_diverse_documents_that_were_split_are_told_apart_by_their_best_parts(
    target, client: Client, name
):
    client.create_collection(name)
    about = {"bees": "Bees make honey. ", "honey": "Bees make honey, too. ", "sea": "The sea. "}
    client.upsert(name, ({"id": key, "text": text * 200} for key, text in about.items()))
    store = TwopassVectorStore(collection_name=name, target=target)
    for found in (
        store.max_marginal_relevance_search("Who makes honey?", k=2, lambda_mult=0.1),
        await store.amax_marginal_relevance_search("Who makes honey?", k=2, lambda_mult=0.1),
    ):
        assert len(found) == 2
        assert "sea" in ids(found)
    await store.aclose()


async def test_diverse_documents_too_large_for_one_answer_are_completed(target, client, name):
    client.create_collection(name, Schema(whole_documents=True))
    texts = {f"{number}": f"{number} " + "park " * 2_000 for number in range(8)}
    client.upsert(name, ({"id": key, "text": text} for key, text in texts.items()))
    with Client(target, max_message_bytes=60_000) as small:
        store = TwopassVectorStore(collection_name=name, client=small)
        for found in (
            store.max_marginal_relevance_search("park", k=8),
            await store.amax_marginal_relevance_search("park", k=8),
        ):
            assert {document.id: document.page_content for document in found} == texts


async def test_a_collection_that_somebody_else_deletes_is_made_anew_by_what_is_written(
    plane, client: Client, name
):
    plane.add_texts(["1 2"])
    client.delete_collection(name)
    assert plane.add_texts(["3 4"], ids=["a"]) == ["a"]
    client.delete_collection(name)
    assert await plane.aadd_texts(["3 4"], ids=["b"]) == ["b"]
    assert ids(plane.get_by_ids(["a", "b"])) == ["b"]


async def test_an_empty_filter_deletes_nothing(plane):
    plane.add_texts(["1 2"], ids=["a"])
    with pytest.raises(ValueError, match="filter: an empty one given"):
        plane.delete(filter={})
    with pytest.raises(ValueError, match="filter: an empty one given"):
        await plane.adelete(filter={})
    assert ids(plane.get_by_ids(["a"])) == ["a"]


def test_documents_with_and_without_ids_are_written_together(plane):
    documents = [Document(id="a", page_content="1 2"), Document(page_content="3 4")]
    first, second = plane.add_documents(documents)
    assert first == "a"
    assert second not in ("", "a")
    assert documents[1].id is None


def test_a_title_in_metadata_is_one_for_the_models(target, client: Client, name):
    store = TwopassVectorStore(collection_name=name, target=target, title_key="title")
    store.add_texts(["A text."], [{"title": "A title", "n": 1}], ids=["a"])
    (stored,) = client.get(name, ["a"])
    assert (stored.title, stored.text) == ("A title", "A text.")
    (document,) = store.get_by_ids(["a"])
    assert document.metadata == {"title": "A title", "n": 1}
    store.close()


def test_a_known_id_is_replaced_skipped_or_refused(plane):
    plane.add_texts(["1 2"], ids=["a"])
    plane.add_texts(["3 4"], ids=["a"], on_conflict="skip")
    assert plane.get_by_ids(["a"])[0].page_content == "1 2"
    with pytest.raises(AlreadyExistsError, match="a"):
        plane.add_texts(["3 4"], ids=["a"], on_conflict="fail")
    plane.add_texts(["5 6"], ids=["a"])
    assert plane.get_by_ids(["a"])[0].page_content == "5 6"


async def test_documents_are_deleted_by_filter_or_all(store):
    assert store.delete(filter={"even": True})
    assert set(ids(store.similarity_search(QUESTION, k=5))) == {"1", "3"}
    assert await store.adelete(filter={"year": 1914})
    assert ids(store.similarity_search(QUESTION, k=5)) == ["3"]
    with pytest.raises(ValueError, match="ids, filter: both given"):
        store.delete(["3"], filter={"even": True})
    assert store.delete([])
    assert ids(store.similarity_search(QUESTION, k=5)) == ["3"]
    assert store.delete()
    assert store.similarity_search(QUESTION) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"metadatas": [{}]}, "metadatas: 1 given for 2 texts"),
        ({"ids": ["a"]}, "ids: 1 given for 2 texts"),
    ],
)
async def test_as_many_metadatas_and_ids_as_texts_are_needed(plane, arguments, said):
    with pytest.raises(ValueError, match=said):
        plane.add_texts(["1 2", "3 4"], **arguments)
    with pytest.raises(ValueError, match=said):
        await plane.aadd_texts(["1 2", "3 4"], **arguments)


async def test_what_can_not_be_stored_is_named(store):
    with pytest.raises(TypeError, match=r"metadata\.at: .* object given"):
        store.add_texts(["a"], [{"at": object()}])
    with pytest.raises(InvalidArgumentError, match="text"):
        await store.aadd_texts(["a text", ""])
    with pytest.raises(TypeError, match="texts: one str given"):
        store.add_texts("a text")
    with pytest.raises(TypeError, match="unexpected argument 'namespace'"):
        store.add_texts(["a text"], namespace="a")


async def test_an_embedding_that_fails_is_told(target, name):
    class Failing(DeterministicFakeEmbedding):
        def embed_documents(self, texts):
            raise RuntimeError("no embedding today")

    store = TwopassVectorStore(Failing(size=3), collection_name=name, target=target)
    with pytest.raises(RuntimeError, match="no embedding today"):
        store.add_texts(["a"])
    with pytest.raises(RuntimeError, match="no embedding today"):
        await store.aadd_texts(["a"])
    assert store.similarity_search("a") == []
    await store.aclose()


def test_langchains_indexing_adds_skips_and_cleans_up(store):
    manager = InMemoryRecordManager("twopass")
    manager.create_schema()

    def run(*texts):
        documents = [Document(page_content=text, metadata={"source": "one"}) for text in texts]
        return index(
            documents,
            manager,
            store,
            cleanup="full",
            source_id_key="source",
            key_encoder="sha256",
        )

    assert run("first", "second")["num_added"] == 2
    assert run("first", "third") == {
        "num_added": 1,
        "num_updated": 0,
        "num_skipped": 1,
        "num_deleted": 1,
    }
    found = store.similarity_search("text", k=10, filter={"source": "one"})
    assert {each.page_content for each in found} == {"first", "third"}


# --- the collection -------------------------------------------------------------------------------


async def test_a_collection_is_created_by_the_first_call_once(target, name, client: Client):
    stores = [TwopassVectorStore(Plane(), collection_name=name, target=target) for _ in range(6)]
    threads = [
        threading.Thread(target=store.add_texts, args=(["1 2"],), kwargs={"ids": [str(number)]})
        for number, store in enumerate(stores[:3])
    ]
    for thread in threads:
        thread.start()
    await asyncio.gather(
        *(store.aadd_texts(["1 2"], ids=[f"a{n}"]) for n, store in enumerate(stores[3:]))
    )
    for thread in threads:
        thread.join()
    assert client.count(name) == 6
    assert client.get_collection(name).schema.dimension == 2
    for store in stores:
        await store.aclose()


async def test_none_is_created_where_none_is_to_be(target):
    store = TwopassVectorStore(
        collection_name="no-such-collection", create_collection=False, target=target
    )
    for call in (
        lambda: store.similarity_search("a"),
        lambda: store.add_texts(["a"]),
        lambda: store.get_by_ids(["a"]),
    ):
        with pytest.raises(NotFoundError, match="no-such-collection"):
            call()
    with pytest.raises(NotFoundError, match="no-such-collection"):
        await store.asimilarity_search("a")
    await store.aclose()


def test_a_schema_of_ones_own_is_that_of_a_new_collection(target, client: Client, name):
    schema = Schema(indexed_fields={"year": "number"}, language="de")
    store = TwopassVectorStore(collection_name=name, schema=schema, target=target)
    store.add_texts(["Ein Text."])
    made = client.get_collection(name).schema
    assert made.indexed_fields == {"year": "number"}
    assert made.language == "de"
    store.close()


def test_an_embedding_and_a_collection_that_do_not_fit_are_told(target, store, new_name, name):
    with pytest.raises(
        ValueError, match=r"embedding: given, but the server embeds .* leave it out"
    ):
        TwopassVectorStore(Plane(), collection_name=name, target=target).similarity_search("1 2")
    other = new_name()
    TwopassVectorStore(Plane(), collection_name=other, target=target).add_texts(["1 2"])
    with pytest.raises(ValueError, match=r"embedding: unset, but .* of 2 components; give the"):
        TwopassVectorStore(collection_name=other, target=target).similarity_search("1 2")


async def test_a_collection_is_deleted_and_made_anew(plane):
    plane.add_texts(["1 2"])
    plane.delete_collection()
    plane.delete_collection()  # a no-op
    assert plane.similarity_search("1 2") == []
    await plane.aadd_texts(["3 4"])
    assert [each.page_content for each in plane.similarity_search("1 2")] == ["3 4"]
    await plane.adelete_collection()
    assert plane.get_by_ids(["a"]) == []


def test_a_store_shows_its_embedding(plane, store):
    assert isinstance(plane.embeddings, Plane)
    assert store.embeddings is None
    assert plane.as_retriever().tags == ["TwopassVectorStore", "Plane"]
