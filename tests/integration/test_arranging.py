"""Near duplicates, groups and diversity, over a real server."""

from collections.abc import Iterator

import pytest

from twopass.client import Client, Collapse, Diversity, Document, Fields, InvalidArgumentError

from .serving import Server

FACTS = {
    "sky": "The sky is blue because air scatters short waves of light more than long ones.",
    "sea": "The sea looks blue since water absorbs red light.",
    "sunset": "At sunset the sky is red, for its light crosses more air.",
    "paint": "Blue paint was once made of lapis lazuli, a stone from the mountains.",
    "bees": "Bees see ultraviolet light, and no red.",
}
QUERY = "Why is the sky blue?"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), gated=False) as server:
        yield server


@pytest.fixture(scope="module")
def client(server) -> Iterator[Client]:
    with Client(server.target) as client:
        client.create_collection("facts")
        client.upsert("facts", _documents())
        yield client


def _documents() -> Iterator[Document]:
    for number, (name, text) in enumerate(FACTS.items()):
        yield Document(name, text, metadata={"of": number % 2})
    yield Document("sky-again", FACTS["sky"], metadata={"of": 7})
    yield Document("sky-alike", FACTS["sky"].replace("because", "as"), metadata={})


def ids(result) -> list[str]:
    return [hit.id for hit in result.hits]


def test_nothing_changes_where_nothing_is_asked_for(client):
    result = client.search("facts", QUERY)
    assert result.arrange_status is None
    assert result.num_collapsed == 0
    assert result.timings.arrange_ms is None
    assert all(hit.collapsed.count == 0 and hit.diversity_score is None for hit in result.hits)


def test_near_duplicates_collapse_into_the_best_and_say_why(client):
    plain = client.search("facts", QUERY)
    result = client.search("facts", QUERY, collapse=Collapse(similarity=0.95, equal_text=True))
    assert result.arrange_status == "complete"
    assert result.num_collapsed == 2
    alike = {"sky", "sky-again", "sky-alike"}
    first = ids(plain)[0]
    assert ids(result) == [name for name in ids(plain) if name not in alike or name == first]
    best = result.hits[0]
    assert {each.id for each in best.collapsed.documents} == alike - {best.id}
    for each in best.collapsed.documents:
        assert each.score is not None
        assert (each.reason == "equal_text") == (each.similarity is None)
    assert result.timings.arrange_ms is not None
    assert best.text, "hits carry what they would carry anyway"
    assert best.vector is None


def test_a_value_has_so_many_hits_and_those_without_it_stay(client):
    result = client.search("facts", QUERY, collapse=Collapse(field="of"))
    values = [hit.metadata.get("of") for hit in result.hits]
    assert sorted(value for value in values if value is not None) == [0, 1, 7]
    assert values.count(None) == 1
    for hit in result.hits:
        assert hit.collapsed.value == hit.metadata.get("of")
    assert sum(hit.collapsed.count for hit in result.hits) == result.num_collapsed == 3
    two = client.search("facts", QUERY, collapse=Collapse(field="of", max_per_value=2))
    assert two.num_collapsed == 1


def test_pages_are_cuts_of_one_order(client):
    options = {"collapse": Collapse(similarity=0.95), "diversity": Diversity(relevance_weight=0.5)}
    whole = client.search("facts", QUERY, **options)
    pages = [client.search("facts", QUERY, top_n=2, offset=n, **options) for n in (0, 2, 4)]
    assert [name for page in pages for name in ids(page)] == ids(whole)
    assert {page.num_collapsed for page in pages} == {whole.num_collapsed}


def test_diversity_puts_what_is_new_before_what_is_alike(client):
    plain, fresh = ids(client.search("facts", QUERY)), client.search("facts", QUERY, diversity=0.5)
    assert set(plain[:3]) == {"sky", "sky-again", "sky-alike"}
    assert ids(fresh)[0] == plain[0]
    assert len(set(ids(fresh)[:3]) & set(plain[:3])) < 3
    values = [hit.diversity_score for hit in fresh.hits]
    assert values == sorted(values, reverse=True)
    assert ids(client.search("facts", QUERY, diversity=1.0)) == plain
    first_pass = client.search("facts", QUERY, diversity=1.0, rerank=False)
    assert ids(first_pass) == ids(client.search("facts", QUERY, rerank=False))


def test_beyond_its_depth_the_order_stays(client):
    plain = ids(client.search("facts", QUERY))
    result = client.search("facts", QUERY, diversity=Diversity(relevance_weight=0, depth=2))
    assert ids(result) == plain
    assert [hit.diversity_score is None for hit in result.hits] == [False] * 2 + [True] * 5


def test_it_works_beside_spans_and_vectors(client):
    result = client.search(
        "facts", QUERY, collapse=Collapse(equal_text=True), spans=True, fields=Fields(vector=True)
    )
    assert result.num_collapsed == 1
    assert all(hit.vector for hit in result.hits)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"collapse": Collapse()}, "collapse: nothing"),
        ({"collapse": Collapse(similarity=0.0)}, "collapse.similarity: 0 given"),
        ({"collapse": Collapse(similarity=1.5)}, "collapse.similarity: 1.5 given"),
        ({"collapse": Collapse(equal_text=True, max_per_value=2)}, "collapse.max_per_value: 2"),
        ({"collapse": Collapse(field="of", max_per_value=101)}, "collapse.max_per_value: 101"),
        ({"collapse": Collapse(field="of", max_listed=101)}, "collapse.max_listed: 101"),
        ({"diversity": 1.5}, "diversity.relevance_weight: 1.5"),
        ({"diversity": Diversity(depth=1001)}, "diversity.depth: 1,001"),
    ],
)
def test_what_is_wrong_is_named(client, options, named):
    with pytest.raises(InvalidArgumentError, match=named):
        client.search("facts", QUERY, **options)


def test_what_became_of_it_is_counted(server, client):
    def counted() -> float:
        labels = {"rpc": "twopass.v1.SearchService.Search", "status": "complete"}
        value = server._app._metrics.registry.get_sample_value("twopass_arranged_total", labels)
        return value or 0.0

    before = counted()
    client.search("facts", QUERY, diversity=0.5)
    client.search("facts", QUERY)
    assert counted() == before + 1
