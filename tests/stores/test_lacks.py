"""What a store lacks it refuses by an error that names the way out, and docs/stores.md tells it."""

import asyncio
import re
from pathlib import Path

import pytest

from twopass.index.base.store import SnapshotStore
from twopass.index.documents import OnConflict
from twopass.index.errors import (
    DocumentsExistError,
    InvalidDocumentError,
    UnsupportedByStoreError,
)
from twopass.index.filters import FieldCondition, Filter, InRange, StartsWith
from twopass.index.word_query import Phrase, Prefix, WordClauses

from .asking import texts_of, with_words, write
from .kinds import FEATURES, KINDS, MILVUS, POSTGRESQL, SQLITE

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"


def says_a_way_out(kind, error):
    message = str(error)
    assert f"not supported by the store {kind.name}; " in message
    assert error.store == kind.name
    assert len(message.rpartition("; ")[2]) > 20


@pytest.mark.parametrize(
    "clauses",
    [
        WordClauses(required=(Phrase("blue sky"),)),
        WordClauses(excluded=(Prefix("re"),)),
        WordClauses(optional=(Phrase("sea"),)),
    ],
    ids=["required", "excluded", "optional"],
)
async def test_clauses(kind, collection, make_document, clauses):
    await write(collection, make_document("a", text="a blue sky"), make_document("b", text="sea"))
    calls = [lambda: with_words(collection, "sky sea", 5, clauses=clauses)]
    if not clauses.optional:
        calls.append(lambda: collection.members_with_words(clauses))
    for call in calls:
        if kind.has("clauses"):
            assert await call()
            continue
        with pytest.raises(UnsupportedByStoreError, match=r"retrieve\.words") as refused:
            await call()
        says_a_way_out(kind, refused.value)


async def test_long_texts(kind, collection, make_document):
    text = "long " * 40_000
    if kind.has("long_texts"):
        await write(collection, make_document("a", text=text))
        assert await texts_of(collection, "a") == [text]
        return
    with pytest.raises(InvalidDocumentError, match=rf"documents\[0\]\.text: .* {kind.name}; "):
        await write(collection, make_document("a", text=text))
    fits = "é" * 30_000
    await write(collection, make_document("a", text=fits))
    assert await texts_of(collection, "a") == [fits]


@pytest.mark.parametrize(
    "test", [InRange(gte=3, lt=5), StartsWith("text 3")], ids=["interval", "prefix"]
)
async def test_many_values(kind, collection, make_document, test):
    values = [*range(40), *(f"text {n}" for n in range(40))]
    await write(collection, make_document("a", metadata={"values": values}), make_document("b"))
    wanted = Filter(must=(FieldCondition("values", test),))
    if kind.has("many_values"):
        assert await collection.count(wanted) == 1
        return
    with pytest.raises(UnsupportedByStoreError, match="values") as refused:
        await collection.count(wanted)
    says_a_way_out(kind, refused.value)
    one_end = Filter(must=(FieldCondition("values", InRange(gte=39)),))
    assert await collection.count(one_end) == 1


async def test_snapshots(kind, store):
    assert isinstance(store, SnapshotStore) == kind.has("snapshots")


async def test_transactions(kind, connect, schema, make_document):
    """Of many writes of one new id at once more than one succeeds where there are none."""
    if not kind.has("fronts"):
        assert kind.has("transactions")  # one server orders its own writes
        return
    stores = [await connect() for _ in range(2)]
    await stores[0].create("notes", schema)
    leases = [await store.acquire("notes") for store in stores]
    num_doubled = 0
    for number in range(10):
        ended = await asyncio.gather(
            *(
                write(lease.collection, make_document(f"d{number}"), on_conflict=OnConflict.FAIL)
                for lease in leases
            ),
            return_exceptions=True,
        )
        failed = [each for each in ended if isinstance(each, BaseException)]
        assert all(isinstance(each, DocumentsExistError) for each in failed)
        num_doubled += len(failed) == 0
    assert not (num_doubled and kind.has("transactions"))
    for lease in leases:
        lease.release()


@pytest.mark.parametrize("feature", FEATURES)
def test_the_page_tells_who_has_what(feature):
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text("utf-8"), re.M)
    table = {title: cells for title, *cells in rows}
    kinds = (SQLITE, POSTGRESQL, MILVUS)
    assert table["what"] == [kind.title for kind in kinds]
    cells = table[FEATURES[feature]]
    has = [kind.has(feature) for kind in kinds]
    assert [cell.startswith("yes") for cell in cells] == has
    assert all(cell.startswith(("yes", "no")) for cell in cells)


def test_every_store_of_this_tree_is_tested():
    assert KINDS == (SQLITE, POSTGRESQL, MILVUS)
