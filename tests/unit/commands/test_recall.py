"""Which settings of a search `twopass recall` tries, by the index kind of any store."""

from types import SimpleNamespace

import pytest

from twopass.commands.recall import _settings


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
    described = SimpleNamespace(schema=SimpleNamespace(index_kind=kind))
    settings = _settings(described, efs, nprobes)
    assert [(each.ef_search, each.nprobe) for each in settings] == tried
