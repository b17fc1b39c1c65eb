"""Collections are made, found, listed, renamed and deleted by name, and known by aliases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from twopass.index.aliases import AliasChange
from twopass.index.errors import (
    AliasExistsError,
    AliasNameTakenError,
    CollectionAliasedError,
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidAliasError,
    InvalidRenameError,
    InvalidSchemaError,
    StaleSequenceError,
)
from twopass.index.schema import (
    Chunking,
    CollectionSchema,
    FieldType,
    IndexedField,
    LexicalTokenizer,
    Metric,
)

from .asking import EVERYTHING, write

SCHEMAS = {
    "least": CollectionSchema(dimension=1, client_vectors=True),
    "with an encoder": CollectionSchema(
        dimension=384, encoder="a/b", encoder_revision="0af1", tokenizer_fingerprint="f" * 16
    ),
    "by inner product": CollectionSchema(
        dimension=7, client_vectors=True, metric=Metric.INNER_PRODUCT
    ),
    "with declared fields": CollectionSchema(
        dimension=3,
        client_vectors=True,
        indexed_fields=(
            IndexedField("year", FieldType.NUMBER),
            IndexedField("tags"),
            IndexedField('it\'s."odd.name"', FieldType.BOOL),
            IndexedField("é.at", FieldType.TIME),
        ),
    ),
    "in German": CollectionSchema(dimension=3, client_vectors=True, language="de"),
    "by Porter": CollectionSchema(
        dimension=3, client_vectors=True, lexical_tokenizer=LexicalTokenizer.PORTER
    ),
    "in windows": CollectionSchema(
        dimension=3, encoder="a", encoder_revision="0", chunking=Chunking(64, 16)
    ),
}


class NotAllowedError(Exception):
    """A caller may not use a collection."""


def any_collection(_):
    """Lets every collection be used."""


async def update(store, **changes):
    """Changes aliases of letters alone; None removes one."""
    made = await store.update_aliases([AliasChange(*c) for c in changes.items()], any_collection)
    assert dict(made.items()) == dict((await store.aliases()).items())


async def listed(store):
    return dict((await store.aliases()).items())


async def called(store, name):
    """The collection that a name or alias stands for, by its own name."""
    lease = await store.acquire(name)
    try:
        return lease.collection.name
    finally:
        lease.release()


@pytest.fixture
async def filled(store, schema):
    """A store of the collections `one` and `two`."""
    for name in ("one", "two"):
        await store.create(name, schema)
    return store


async def test_a_store_says_what_it_is(kind, store):
    assert store.kind == kind.name
    assert store.problem == ""
    assert store.place


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
async def test_a_schema_comes_back_as_it_was_given(store, schema):
    schema = replace(schema, index_kind=store.default_index_kind)
    created = await store.create("docs", schema)
    for summary in (created, await store.summary("docs")):
        assert (summary.name, summary.schema) == ("docs", schema)
        assert (summary.num_documents, summary.num_split) == (0, 0)
        assert (summary.sequence.position, summary.read_only_reason) == (0, "")
        assert abs(datetime.now(UTC) - summary.create_time) < timedelta(minutes=1)
    lease = await store.acquire("docs")
    assert lease.collection.schema == schema
    assert lease.collection.create_time == created.create_time
    assert lease.collection.incarnation == created.sequence.incarnation
    lease.release()


async def test_names_are_checked(store, schema):
    for bad in ("", "A", "a b", "-a", "../a", "a" * 65):
        with pytest.raises(InvalidSchemaError, match="1 to 64 of a-z"):
            await store.create(bad, schema)
    for good in ("a", "0", "a" * 64, "a-b_c"):
        await store.create(good, schema)


async def test_an_index_kind_that_the_store_has_not_is_refused_with_those_it_has(store, schema):
    with pytest.raises(InvalidSchemaError, match=r"schema\.index_kind: .*'IVF16,PQ8'") as refused:
        await store.create("docs", replace(schema, index_kind="IVF16,PQ8"))
    assert store.default_index_kind.split("<")[0].rstrip("0123456789")[:4] in str(refused.value)


async def test_a_name_is_taken_once(filled, schema):
    with pytest.raises(CollectionExistsError, match="'one' exists already"):
        await filled.create("one", schema)
    await update(filled, docs="one")
    with pytest.raises(AliasExistsError, match="'docs' is an alias of collection 'one'"):
        await filled.create("docs", schema)


async def test_of_many_that_create_one_name_one_succeeds(store, schema):
    made = await asyncio.gather(
        *(store.create("docs", schema) for _ in range(5)), return_exceptions=True
    )
    failed = [each for each in made if isinstance(each, BaseException)]
    assert [type(each) for each in failed] == [CollectionExistsError] * 4


async def test_collections_are_listed_by_name_in_pages(store, schema):
    names = ["b", "a", "a-b", "a_b", "0", "ab", "z"]
    for name in names:
        await store.create(name, schema)
    every = await store.summaries(lambda _: True)
    assert [each.name for each in every] == sorted(names)
    some = await store.summaries(lambda name: name != "a-b", after="a", limit=2)
    assert [each.name for each in some] == sorted(set(names) - {"0", "a", "a-b"})[:2]


async def test_unknown_names_are_named(store):
    for call in (
        lambda: store.acquire("nowhere"),
        lambda: store.summary("nowhere"),
        lambda: store.delete("nowhere"),
        lambda: store.rename("nowhere", "somewhere"),
        lambda: store.update_aliases([AliasChange("a", "nowhere")], any_collection),
    ):
        with pytest.raises(CollectionNotFoundError, match="'nowhere' does not exist"):
            await call()


async def test_a_deleted_collection_is_gone_and_its_name_free(store, schema, make_document):
    await store.create("docs", schema)
    lease = await store.acquire("docs")
    old = (await write(lease.collection, make_document("a"))).sequence
    lease.release()
    await store.delete("docs")
    with pytest.raises(CollectionNotFoundError):
        await store.acquire("docs")
    assert await store.summaries(lambda _: True) == []
    created = await store.create("docs", schema)
    assert created.num_documents == 0
    assert created.sequence.incarnation != old.incarnation
    lease = await store.acquire("docs")
    with pytest.raises(StaleSequenceError, match="deleted and created again"):
        await lease.collection.ensure_reached(str(old))
    assert await lease.collection.get(["a"], allow_missing=True) == []
    lease.release()


async def test_a_collection_deleted_while_it_is_used_says_so(store, collection, make_document):
    await write(collection, make_document("a"))
    await store.delete("notes")
    for call in (
        lambda: write(collection, make_document("b")),
        lambda: collection.get(["a"]),
        lambda: collection.delete(EVERYTHING),
        lambda: collection.retrieval().nearest(make_document("a").vector, 1),
    ):
        with pytest.raises((CollectionClosedError, CollectionNotFoundError), match="'notes'"):
            await call()


async def test_an_alias_stands_for_a_collection_until_it_is_switched(filled):
    await update(filled, docs="one", b="one")
    assert await listed(filled) == {"b": "one", "docs": "one"}
    assert await called(filled, "docs") == "one"
    assert (await filled.summary("docs")).name == "one"
    assert (await filled.aliases()).of("one") == ("b", "docs")
    await update(filled, docs="two")
    assert await called(filled, "docs") == "two"
    await update(filled, docs=None, never=None)
    assert await listed(filled) == {"b": "one"}
    with pytest.raises(CollectionNotFoundError, match="'docs' does not exist"):
        await filled.acquire("docs")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("two", "one"), AliasNameTakenError, "collection 'two' exists already"),
        (("x", "nowhere"), CollectionNotFoundError, "collection 'nowhere' does not exist"),
        (("x", "x"), CollectionNotFoundError, "collection 'x' does not exist"),
        (("x", "docs"), InvalidAliasError, r"changes\[1\]\.collection: 'docs' is an alias; name"),
        (("a", "two"), InvalidAliasError, r"changes\[1\]\.alias: 'a' is changed twice"),
        (("a", None), InvalidAliasError, r"changes\[1\]\.alias: 'a' is changed twice"),
        (("../x", "one"), InvalidSchemaError, r"changes\[1\]\.alias: '\.\./x' given; 1 to 64"),
        (("", None), InvalidSchemaError, r"changes\[1\]\.alias: '' given; 1 to 64"),
    ],
)
async def test_a_change_that_can_not_be_keeps_all_others_from_being(filled, change, error, said):
    await update(filled, docs="one")
    with pytest.raises(error, match=said):
        await filled.update_aliases([AliasChange("a", "one"), AliasChange(*change)], any_collection)
    assert await listed(filled) == {"docs": "one"}


async def test_who_may_not_use_what_an_alias_stood_for_changes_nothing(filled):
    def not_one(collection):
        if collection == "one":
            raise NotAllowedError

    await update(filled, docs="one")
    for collection in ("two", None):
        with pytest.raises(NotAllowedError):
            await filled.update_aliases(
                [AliasChange("other", "two"), AliasChange("docs", collection)], not_one
            )
    assert await listed(filled) == {"docs": "one"}


async def test_a_collection_with_aliases_stays(filled):
    await update(filled, docs="one", other="one")
    for name in ("one", "docs"):
        with pytest.raises(CollectionAliasedError, match=r"'one' can't be .*: 'docs', 'other'$"):
            await filled.delete(name)
    await update(filled, docs="two", other=None)
    await filled.delete("one")
    assert await called(filled, "docs") == "two"


async def test_a_renamed_collection_keeps_its_documents_aliases_and_sequences(
    store, collection, make_document
):
    before = (await write(collection, make_document("a"))).sequence
    await update(store, docs="notes")
    renamed = await store.rename("notes", "papers")
    assert renamed.name == "papers"
    assert collection.name == "papers"
    await collection.ensure_reached(str(before))
    assert await listed(store) == {"docs": "papers"}
    assert await called(store, "docs") == "papers"
    with pytest.raises(CollectionNotFoundError):
        await store.acquire("notes")
    assert [document.id for document in await collection.get(["a"])] == ["a"]
    await write(collection, make_document("b"))
    assert (await store.summary("papers")).num_documents == 2


async def test_the_old_name_can_become_an_alias_in_the_same_step(store, collection, make_document):
    await write(collection, make_document("a"))
    await store.rename("notes", "papers", keep_alias=True)
    assert await listed(store) == {"notes": "papers"}
    assert await called(store, "notes") == "papers"
    # Back again: the alias of the collection itself makes room.
    await store.rename("papers", "notes", keep_alias=True)
    assert await listed(store) == {"papers": "notes"}
    assert (await store.summary("papers")).num_documents == 1


async def test_renames_that_can_not_be_change_nothing(filled):
    await update(filled, docs="one", of_two="two")
    for name, new_name, error in (
        ("one", "two", CollectionExistsError),
        ("one", "one", InvalidRenameError),
        ("docs", "three", InvalidRenameError),
        ("one", "of_two", AliasExistsError),
        ("one", "Not a name", InvalidSchemaError),
    ):
        with pytest.raises(error):
            await filled.rename(name, new_name)
    assert await listed(filled) == {"docs": "one", "of_two": "two"}
    assert [each.name for each in await filled.summaries(lambda _: True)] == ["one", "two"]


async def test_lookups_find_the_old_or_the_new_while_an_alias_is_switched(filled, schema):
    """Each collection is deleted as soon as the alias stands for another."""
    await update(filled, docs="one")
    done = asyncio.Event()

    async def look_up():
        times = 0
        while not done.is_set():
            (await filled.acquire("docs")).release()
            times += 1
            await asyncio.sleep(0)
        return times

    looking_up = asyncio.create_task(look_up())
    await asyncio.sleep(0)
    current = "one"
    for number in range(10):
        following = f"next-{number}"
        await filled.create(following, schema)
        await update(filled, docs=following)
        await filled.delete(current)
        current = following
    done.set()
    assert await looking_up > 0
