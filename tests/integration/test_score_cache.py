"""No answer has a stale score: each is the one that a key without the cache gets."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from twopass.commands.key_file import add_key
from twopass.server.edge.keys import ApiKey, ScoreSharing, make_key
from twopass.v1 import collection_pb2, document_pb2, rerank_pb2, search_pb2

from .serving import Server, Stubs

COLLECTION = "changing"
WORDS = ["sea", "ice", "melts", "slowly", "when", "winds", "turn", "old", "glaciers", "calve"]
QUERIES = ["when does sea ice melt", "old glaciers", "winds turn slowly into fjords"]
TEXTS = [" ".join(random.Random(i).choices(WORDS, k=1 + i)) for i in range(12)]
NUM_DOCUMENTS = 12


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> dict[str, str]:
    """A key of each way of sharing, by its name, and the file of all."""
    file = tmp_path_factory.mktemp("keys") / "keys.toml"
    found = {"file": str(file)}
    for name, sharing in [
        *((sharing.value, sharing) for sharing in ScoreSharing),
        ("own2", ScoreSharing.OWN),
        ("shared2", ScoreSharing.SHARED),
    ]:
        made = make_key()
        add_key(file, ApiKey(name=name, sha256=made.sha256, score_cache=sharing))
        found[name] = made.secret
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def keyed(data, secrets) -> Iterator[Server]:
    with Server(data, keys=secrets["file"], gated=False) as server:
        ensure_filled(Stubs(server.target, api_key=secrets["shared"]))
        yield server


def ensure_filled(stubs: Stubs) -> None:
    """Makes the collection that tests change, where none has made it."""
    try:
        stubs.collections.CreateCollection(collection_pb2.CreateCollectionRequest(name=COLLECTION))
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS  # noqa: PT017
    for seed in range(9):
        change(stubs, random.Random(seed))


def search(stubs: Stubs, query: str) -> search_pb2.SearchResponse:
    request = search_pb2.SearchRequest(collection=COLLECTION, query=query, top_n=NUM_DOCUMENTS)
    request.fields.text = True
    answer: search_pb2.SearchResponse = stubs.search(request)
    return answer


def scores_of(answer: search_pb2.SearchResponse) -> list[tuple[str, str, float, float]]:
    return [(hit.id, hit.text, hit.logit, hit.score) for hit in answer.hits]


def change(stubs: Stubs, chance: random.Random) -> None:
    """Replaces, deletes or puts back documents; texts come again and again."""
    numbers = chance.sample(range(NUM_DOCUMENTS), 3)
    documents = [
        document_pb2.Document(id=str(number), text=chance.choice(TEXTS)) for number in numbers
    ]
    stubs.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(collection=COLLECTION, documents=documents)
    )
    if chance.random() < 0.3:
        stubs.collections.DeleteDocuments(
            collection_pb2.DeleteDocumentsRequest(collection=COLLECTION, ids=[str(numbers[0])])
        )


def test_scores_are_those_computed_anew_through_changes_restarts_and_other_models(data, secrets):
    chance, num_cached = random.Random(0), 0
    for reranker in ("twopass-minilm-l3", "twopass-minilm-l6", "twopass-minilm-l3"):
        with Server(data, keys=secrets["file"], gated=False, reranker=reranker) as server:
            shared = Stubs(server.target, api_key=secrets["shared"])
            anew = Stubs(server.target, api_key=secrets["off"])
            ensure_filled(shared)
            assert search_after_changes(shared, anew, chance, 0) == 0, "nothing outlives a server"
            num_cached += sum(
                search_after_changes(shared, anew, chance, chance.randrange(3)) for _ in range(12)
            )
    assert num_cached > 50


def search_after_changes(
    shared: Stubs, anew: Stubs, chance: random.Random, num_changes: int
) -> int:
    """Changes documents, compares what both find, and returns how much was known."""
    for _ in range(num_changes):
        change(shared, chance)
    query = chance.choice(QUERIES)
    answer, expected = search(shared, query), search(anew, query)
    assert scores_of(answer) == scores_of(expected)
    assert expected.num_cached == 0
    assert answer.num_cached <= answer.num_reranked
    known: int = answer.num_cached
    return known


def test_scores_are_right_while_documents_change(keyed, secrets):
    """Each hit carries the text that its score belongs to, whatever was written meanwhile."""
    shared = Stubs(keyed.target, api_key=secrets["shared"])
    anew = Stubs(keyed.target, api_key=secrets["off"])
    chance = random.Random(1)

    def searched(number: int) -> int:
        query = QUERIES[number % len(QUERIES)]
        answer = search(shared, query)
        if not answer.hits:
            return 0
        candidates = [rerank_pb2.Candidate(text=hit.text) for hit in answer.hits]
        ranked = anew.rerank(rerank_pb2.RerankRequest(query=query, candidates=candidates))
        assert {hit.index: hit.logit for hit in ranked.hits} == {
            i: hit.logit for i, hit in enumerate(answer.hits)
        }
        return int(answer.num_cached)

    with ThreadPoolExecutor(3) as searchers:
        searching = [searchers.submit(searched, number) for number in range(60)]
        while not all(each.done() for each in searching):
            change(shared, chance)
        assert sum(each.result() for each in searching) > 0


def test_who_shares_scores_with_whom(keyed, secrets):
    """What one key asked serves another only where both say so."""
    candidates = [rerank_pb2.Candidate(text=text) for text in TEXTS]

    def num_cached(key: str, query: str) -> int:
        request = rerank_pb2.RerankRequest(query=query, candidates=candidates)
        answer = Stubs(keyed.target, api_key=secrets[key]).rerank(request)
        return int(answer.num_cached)

    asked = [("own", 0), ("off", 0), ("shared", 0), ("own2", 0)]
    again = [("own", 12), ("own2", 12), ("off", 0), ("shared2", 12)]
    for key, expected in asked + again:
        assert num_cached(key, "which one") == expected, key


def test_a_search_and_a_rerank_of_the_same_texts_share_scores(keyed, secrets):
    shared = Stubs(keyed.target, api_key=secrets["shared"])
    query = "what is shared by both"
    answer = search(shared, query)
    candidates = [rerank_pb2.Candidate(text=hit.text) for hit in answer.hits]
    ranked = shared.rerank(rerank_pb2.RerankRequest(query=query, candidates=candidates))
    assert ranked.num_cached == len(candidates) > 0
    logits = {hit.index: hit.logit for hit in ranked.hits}
    assert [logits[i] for i in range(len(candidates))] == [hit.logit for hit in answer.hits]
