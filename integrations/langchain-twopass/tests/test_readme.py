"""The page names everything that there is; `make integrations` runs its programs too."""

import inspect
from pathlib import Path

import pytest
from langchain_core.documents import Document

from langchain_twopass import (
    SearchOptions,
    TwopassConnection,
    TwopassEmbeddings,
    TwopassRerank,
    TwopassRetriever,
)

PAGE = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "component",
    [SearchOptions, TwopassConnection, TwopassRetriever, TwopassRerank, TwopassEmbeddings],
)
def test_every_option_is_on_the_page(component):
    ours = set(inspect.get_annotations(component)) - {"model_config", "_clients"}
    assert {name for name in ours if f"`{name}`" not in PAGE} == {
        # Told with the retriever or by the search's options of the same name.
        *({"collection_name"} if component is TwopassRetriever else ())
    }


@pytest.mark.parametrize(
    "component",
    [SearchOptions, TwopassConnection, TwopassRetriever, TwopassRerank, TwopassEmbeddings],
)
def test_every_option_says_what_it_means(component):
    of_langchain = {"name", "tags", "metadata"}
    fields = component.model_fields.items()
    assert [name for name, field in fields if not field.description] == [
        name for name in component.model_fields if name in of_langchain
    ]


def test_every_key_of_metadata_is_on_the_page(target, facts):
    found = TwopassRetriever(target=target, collection_name=facts).invoke("capital")
    read = TwopassRerank(target=target).compress_documents([Document(page_content="a")], "b")
    for document in (found[0], read[0]):
        told = document.metadata["twopass"]
        for key in (*told, *told["timings"], "relevance_score"):
            assert f"`{key}`" in PAGE, key
