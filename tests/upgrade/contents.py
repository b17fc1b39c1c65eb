"""What a release writes into a data folder to be read by every later one, and what it answers.

Only the public client is used, so that an old release and a new one run the same code.
"""

import dataclasses
import json
from typing import Any

from twopass.client import Chunking, Client, Retrieve, Schema, field

TEXTS = (
    "The lighthouse keeper lights the lamp at dusk and winds the clock.",
    "Sourdough bread rises slowly because wild yeast is slow.",
    "A glacier moves downhill by its own weight, a few metres a year.",
    "Octopuses have three hearts, and two of them stop when they swim.",
    "The tax return has to be filed by the end of July.",
    "Espresso is brewed by pushing hot water through ground coffee under pressure.",
    "The Rosetta Stone has one text in three scripts.",
    "Tides follow the moon, and twice a month the sun helps.",
)
# Of many windows; only the last says what is searched for.
_LONG = " ".join([*TEXTS[4:] * 6, "Penguins huddle together against the wind of the Antarctic."])


def _vector(number: int) -> list[float]:
    """Small integers, which every representation holds exactly, and no two of them alike."""
    return [float(number), float(number % 3), float(number % 5), 1.0]


def write(client: Client) -> None:
    """Writes collections of several kinds, and all else that a data folder holds."""
    _write_articles(client)
    vectors = Schema(
        client_vectors=True, dimension=4, metric="inner_product", index_kind="HNSW16,Flat"
    )
    client.create_collection("vectors", vectors)
    client.upsert(
        "vectors",
        [{"id": f"v{n:02}", "text": f"number {n}", "vector": _vector(n)} for n in range(30)],
    )
    client.create_snapshot("vectors", "before")
    client.delete("vectors", ["v28", "v29"])
    client.create_collection("deutsch", Schema(language="de", whole_documents=True))
    client.upsert("deutsch", [{"id": "haus", "text": "Die alten Häuser stehen am Fluss."}])
    client.update_aliases({"current": "articles", "old": "vectors"})
    client.rename_collection("deutsch", "german", keep_alias=True)


def _write_articles(client: Client) -> None:
    schema = Schema(
        indexed_fields={"year": "number", "topic": "text", "seen": "time"},
        chunking=Chunking(window_tokens=64, overlap_tokens=8),
    )
    client.create_collection("articles", schema)
    documents: list[dict[str, Any]] = [
        {
            "id": f"article-{number}",
            "title": f"Note {number}",
            "text": text,
            "metadata": {
                "year": 1990 + number,
                "topic": "odd" if number % 2 else "even",
                "seen": f"2026-01-0{number + 1}T12:00:00Z",
                "exact": 2**53 + 1,
                "nested": {"list": [1, 1.0, None, "Größe 漢字"]},
            },
        }
        for number, text in enumerate(TEXTS)
    ]
    client.upsert("articles", [*documents, {"id": "long", "text": _LONG}])
    client.upsert("articles", [{"id": "article-0", "text": "The lighthouse is a museum now."}])
    client.delete("articles", ["article-4"])
    client.update_metadata("articles", ["article-1"], merge={"topic": "baking", "year": None})


def answers(client: Client) -> dict[str, Any]:
    """What a server says of the folder, as JSON holds it: a later one has to say the same.

    Scores are left out: a better kernel may round otherwise. So is the order of documents that no
    query tells apart.
    """

    def found(collection: str, query: str, mode: Any, **options: Any) -> list[str]:
        result = client.search(collection, query, retrieve=mode, allow_fallback=False, **options)
        return [hit.id for hit in result.hits]

    nearest = client.search("old", vector=_vector(20), retrieve="dense", top_n=3, rerank=False)
    penguins = client.search("articles", "How do penguins keep warm?", top_n=1).hits[0]
    assert penguins.span is not None
    part = penguins.text[penguins.span.start : penguins.span.end]
    said = {
        "aliases": client.update_aliases({}),
        "collections": {
            each.name: {
                "schema": dataclasses.asdict(each.schema),
                "num_documents": each.num_documents,
                "num_split": each.num_split,
                "problems": each.read_only_reason + each.encoder_problem,
                "documents": _documents(client, each.name),
            }
            for each in client.list_collections()
        },
        "snapshots": [
            [each.name, each.num_documents, each.sha256, each.damaged_reason]
            for each in client.list_snapshots("vectors")
        ],
        "searches": {
            "words": found("articles", "sourdough", "lexical", rerank=False),
            "words with endings of German": found("deutsch", "Haus", "lexical", rerank=False),
            "meaning": found("current", "Which animal has several hearts?", "dense", top_n=1),
            "both": found("articles", "ice that slides down a mountain", "hybrid", top_n=1),
            "vectors": [hit.id for hit in nearest.hits],
            "a part of a long document": [penguins.id, "Penguins" in part],
            "a filter": sorted(
                found("articles", "text", Retrieve("dense"), filter=field("year") >= 1995)
            ),
            "a time": sorted(
                found("articles", "text", "dense", filter=field("seen") < "2026-01-03T12:00:00Z")
            ),
        },
    }
    as_json: dict[str, Any] = json.loads(json.dumps(said, default=str))
    return as_json


def _documents(client: Client, collection: str) -> list[Any]:
    documents = client.documents(collection)
    return sorted([each.id, each.title, each.text, dict(each.metadata)] for each in documents)
