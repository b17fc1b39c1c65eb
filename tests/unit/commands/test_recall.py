"""Which settings of a search `twopass recall` tries, by the index kind of any store."""

import pytest

from twopass.commands.recall import _settings

from ..client_results import collection


@pytest.mark.parametrize(
    ("kind", "efs", "nprobes", "tried"),
    [
        ("Flat", [], [], [(None, None)]),
        ("IVF4,Flat", [], [], [(None, 1), (None, 2), (None, 4)]),
        ("HNSW32", [40], [], [(40, None)]),
        ("AUTOINDEX", [], [], [(None, None)]),
        ("IVF_RABITQ", [], [8, 16], [(None, 8), (None, 16)]),
        ("HNSW", [64], [], [(64, None)]),
    ],
)
def test_kinds_of_other_stores_are_searched_as_asked_for(kind, efs, nprobes, tried):
    settings = _settings(collection(index_kind=kind), efs, nprobes)
    assert [(each.ef_search, each.nprobe) for each in settings] == tried
