"""A collection of facts that no test changes."""

from collections.abc import Iterator

import pytest

from twopass.client import Client

FACTS: dict[str, dict[str, object]] = {
    "canberra": {"text": "Canberra is the capital city of Australia.", "year": 1913},
    "wellington": {"text": "Wellington is the capital city of New Zealand.", "year": 1865},
    "honey": {"text": "Bees make honey from the nectar of flowers.", "year": 1900},
    "sky": {"text": "The sky is blue since air scatters short waves of sunlight most."},
    "dates": {
        "title": "strptime",
        "text": "datetime.strptime(text, format) parses a text into a datetime.",
        "year": 2003,
    },
    "tides": {"text": "The moon pulls at the sea and so makes the tides.", "year": 1687},
    "glass": {"text": "Glass is made of molten sand.", "year": 1500},
}


@pytest.fixture(scope="session")
def facts(client: Client) -> Iterator[str]:
    name = "facts-of-langchain"
    client.create_collection(name)
    client.upsert(
        name,
        (
            {
                "id": key,
                "text": fact["text"],
                "title": fact.get("title", ""),
                "metadata": {k: v for k, v in fact.items() if k not in ("text", "title")},
            }
            for key, fact in FACTS.items()
        ),
    )
    yield name
    client.delete_collection(name)
