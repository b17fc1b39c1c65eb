"""What a data folder and its collections hold, as tests of the store look at them."""

from twopass.index.aliases import AliasChange


def anything(collection):
    """Lets every collection be used."""


def ids(collection):
    return [document.id for document in collection.list_page(1_000).documents]


def folders(tmp_path, kind="collections"):
    return sorted(x.name for x in (tmp_path / kind).iterdir())


def alias(store, name, collection):
    store.update_aliases([AliasChange(name, collection)], anything)
