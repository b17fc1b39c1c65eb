"""Hits compared with each other, and their sentences, on every store as on the default one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from twopass.client import (
    Chunking,
    Client,
    Collapse,
    Diversity,
    Document,
    Fields,
    Rerank,
    Retrieve,
    Schema,
    SearchResult,
    Spans,
)

from ..integration.serving import Server

FACTS = {
    "sky": "The sky is blue because air scatters short waves of light more than long ones.",
    "sea": "The sea looks blue since water absorbs red light.",
    "sunset": "At sunset the sky is red, for its light crosses more air. The sea is dark then.",
    "paint": "Blue paint was once made of lapis lazuli, a stone from the mountains.",
    "bees": "Bees see ultraviolet light, and no red.",
}
QUERY = "Why is the sky blue?"
FILLER = "The committee met on Tuesday and adjourned without a decision. " * 20
EVERY_CANDIDATE = Retrieve("hybrid", k=20)
NO_TEXTS = Fields(text=False, metadata=False)

WAYS = {
    "near": {"collapse": Collapse(similarity=0.95)},
    "equal": {"collapse": Collapse(equal_text=True)},
    "by value": {"collapse": Collapse(field="of")},
    "two a value": {"collapse": Collapse(field="of", max_per_value=2, max_listed=1)},
    "by a list": {"collapse": Collapse(field="tags")},
    "by a big number": {"collapse": Collapse(field="big")},
    "all": {"collapse": Collapse(similarity=0.95, equal_text=True, field="of")},
    "diverse": {"diversity": 0.5},
    "diverse in part": {"diversity": Diversity(relevance_weight=0.2, depth=3)},
    "both": {"collapse": Collapse(equal_text=True), "diversity": 0.4},
    "first pass": {"diversity": 0.5, "rerank": False},
    "with vectors": {"collapse": Collapse(similarity=0.95), "fields": Fields(vector=True)},
    "with texts alone": {"collapse": Collapse(field="of"), "fields": Fields(metadata=False)},
}
SPANS = {
    "plain": {"spans": True},
    "of texts that hits do not carry": {"spans": True, "fields": NO_TEXTS},
    "pruned": {"spans": Spans(pruned_text=True, neighbors=1), "fields": NO_TEXTS},
    "marked": {"spans": Spans(highlight=True, min_score=0, max_spans=64)},
    "in windows": {"spans": Spans(unit="window", window_tokens=16)},
    "without a second pass": {"spans": True, "rerank": False, "fields": NO_TEXTS},
    "of what is compared": {"spans": True, "collapse": Collapse(equal_text=True), "diversity": 0.5},
}


def documents() -> Iterator[Document]:
    for number, (name, text) in enumerate(FACTS.items()):
        yield Document(
            name,
            text,
            title=name.capitalize() if number % 2 else "",
            metadata={"of": number % 2, "tags": ["a", number % 2], "big": 2**53 + number},
        )
    again = {"of": 7, "tags": [], "big": 2**53}
    yield Document("sky-again", FACTS["sky"], metadata=again)
    yield Document("sky-alike", FACTS["sky"].replace("because", "as"), metadata={})


def fill(client: Client) -> None:
    client.create_collection("alike", Schema())
    client.upsert("alike", documents())
    client.create_collection("alike-long", Schema(chunking=Chunking(64, 16)))
    client.upsert(
        "alike-long",
        [
            replace(each, text=f"{FILLER}{each.text} {FILLER}" if number % 2 else each.text)
            for number, each in enumerate(documents())
        ],
    )


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> Iterator[Client]:
    """A client of a server whose collections are in its folder."""
    with (
        Server(tmp_path_factory.mktemp("data"), gated=False) as server,
        Client(server.target) as client,
    ):
        fill(client)
        yield client


@pytest.fixture(scope="module")
def client(store_url, tmp_path_factory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("front") / "data"
    with (
        Server(folder, gated=False, store=store_url) as server,
        Client(server.target) as connected,
    ):
        fill(connected)
        yield connected
        for name in ("alike", "alike-long"):
            connected.delete_collection(name)


def told(result: SearchResult) -> list[tuple]:
    """What a result says of its hits, whichever store they are from."""
    return [
        (
            hit.id,
            hit.collapsed.count,
            [(each.id, each.reason, near(each.similarity)) for each in hit.collapsed.documents],
            hit.collapsed.value,
            near(hit.diversity_score),
            [(span.start, span.end, near(span.score)) for span in hit.spans],
            hit.pruned_text,
            hit.highlighted_text,
            (hit.title, hit.text, hit.metadata, bool(hit.vector)),
        )
        for hit in result.hits
    ]


def near(value: float | None):
    return None if value is None else pytest.approx(value, abs=2e-3)


@pytest.mark.parametrize("collection", ["alike", "alike-long"])
@pytest.mark.parametrize("way", [*WAYS, *SPANS])
def test_hits_say_what_they_say_on_the_default_store(client, default, way, collection):
    # By the second pass alone: stores count words each in its own way.
    asked = {"retrieve": Retrieve("dense", k=20), "rerank": Rerank(blend=0.0)}
    asked |= (WAYS | SPANS)[way]
    expected = default.search(collection, QUERY, **asked)
    answered = client.search(collection, QUERY, **asked)
    assert told(answered) == told(expected)
    assert answered.num_collapsed == expected.num_collapsed
    assert answered.arrange_status == expected.arrange_status
    assert answered.spans_status == expected.spans_status
    assert expected.arrange_status == ("complete" if way in WAYS else expected.arrange_status)
    assert expected.spans_status == ("complete" if way in SPANS else None)


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
def test_all_of_it_is_there_however_hits_are_found(client, mode):
    asked = {
        "retrieve": Retrieve(mode, k=20),
        "collapse": Collapse(similarity=0.95, equal_text=True),
        "diversity": 0.5,
        "spans": Spans(pruned_text=True),
        "fields": NO_TEXTS,
    }
    result = client.search("alike", "sky blue", **asked)
    assert (result.arrange_status, result.spans_status) == ("complete", "complete")
    assert result.num_collapsed == 2
    assert all(hit.spans and hit.pruned_text for hit in result.hits[:5])
    assert not any(hit.text for hit in result.hits)


def test_pages_are_cuts_of_one_order(client):
    asked = {
        "retrieve": EVERY_CANDIDATE,
        "collapse": Collapse(similarity=0.95),
        "diversity": Diversity(relevance_weight=0.5),
    }
    whole = client.search("alike", QUERY, **asked)
    pages = [client.search("alike", QUERY, top_n=2, offset=n, **asked) for n in (0, 2, 4)]
    assert [hit.id for page in pages for hit in page.hits] == [hit.id for hit in whole.hits]
    assert {page.num_collapsed for page in pages} == {whole.num_collapsed}
