"""Collections that tests of the store begin with."""

import pytest


@pytest.fixture
def docs(store, schema, make_document):
    """The collection `docs`, which holds the document `a`."""
    made = store.create("docs", schema)
    made.upsert([make_document("a")]).result()
    return made
