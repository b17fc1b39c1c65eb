"""What tests of this integration share."""

import os
from collections.abc import Iterator

import pytest
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from .corpus import DOCUMENTS


@pytest.fixture(autouse=True, scope="session")
def _settings_of_tests_alone() -> Iterator[None]:
    """Variables that settings are read from by default say nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAYSTACK_TELEMETRY_ENABLED", "false")
        for name in [name for name in os.environ if name.startswith("TWOPASS_")]:
            if name in ("TWOPASS_API_KEY", "TWOPASS_CA"):
                patch.delenv(name)
        yield


@pytest.fixture
def empty(target: str, name: str) -> Iterator[TwopassDocumentStore]:
    """A store that the server embeds, and that nothing has used yet."""
    store = TwopassDocumentStore(name, target=target)
    yield store
    store.close()


@pytest.fixture
def filled(empty: TwopassDocumentStore) -> TwopassDocumentStore:
    """The same with four documents."""
    empty.write_documents(DOCUMENTS)
    return empty
