"""LlamaIndex's own tests of its `SimpleVectorStore`, with a `TwopassVectorStore` in its place.

They are in LlamaIndex's repository alone, in no package: `LLAMA_INDEX` names a clone of it, of the
release that is installed.

    LLAMA_INDEX=~/llama_index make integrations INTEGRATION=vector-stores ARGS='-k published'
"""

import ast
import importlib.util
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import llama_index.core.vector_stores
import pytest

from llama_index.vector_stores.twopass import TwopassVectorStore
from twopass.client import Client

_CLONE = os.environ.get("LLAMA_INDEX", "")
_FILE = Path(_CLONE, "llama-index-core/tests/vector_stores/test_simple.py")
_SUITE = "SimpleVectorStoreTest"

# No test of twopass looks for parts of texts in metadata, and the store says so.
_REFUSED = {"test_query_with_textmatch_filter_returns_matches": "the operator 'text_match' given"}


def names() -> list[str]:
    """The suite's tests; none without a clone."""
    if not _CLONE:
        return []
    tree = ast.parse(_FILE.read_text("utf-8"))
    (suite,) = (each for each in tree.body if getattr(each, "name", "") == _SUITE)
    return [each.name for each in suite.body if each.name.startswith("test_")]


@pytest.fixture
def suite(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the suite, whose stores are collections of the test's own."""
    made: list[str] = []

    def store() -> TwopassVectorStore:
        made.append(f"published-{secrets.token_hex(6)}")
        return TwopassVectorStore(made[-1], client=client)

    monkeypatch.setattr(llama_index.core.vector_stores, "SimpleVectorStore", store)
    specification = importlib.util.spec_from_file_location("published", _FILE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    yield module
    for name in made:
        client.delete_collection(name)


@pytest.mark.skipif(not _CLONE, reason="LLAMA_INDEX is not set, to a clone of LlamaIndex")
@pytest.mark.parametrize("name", names())
def test_llama_index_finds_its_own_store(suite: ModuleType, name: str):
    test = getattr(getattr(suite, _SUITE)(name), name)
    if name in _REFUSED:
        with pytest.raises(ValueError, match=_REFUSED[name]):
            test()
    else:
        test()
