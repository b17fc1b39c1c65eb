"""Index kinds: Milvus' names pass through, and some of the default store's mean the same."""

import pytest

from twopass.index.errors import InvalidSchemaError
from twopass.index.kinds import Breadth
from twopass.index.milvus.index_kinds import MilvusIndexKind


@pytest.mark.parametrize(
    ("given", "name", "parameters"),
    [
        ("AUTOINDEX", "AUTOINDEX", {}),
        ("HNSW", "HNSW", {"M": 30, "efConstruction": 200}),
        ("HNSW,16", "HNSW", {"M": 16, "efConstruction": 200}),
        ("HNSW32", "HNSW", {"M": 32, "efConstruction": 200}),
        ("IVF_RABITQ,4096", "IVF_RABITQ", {"nlist": 4096}),
        ("IVF64,Flat", "IVF_FLAT", {"nlist": 64}),
        ("DISKANN", "DISKANN", {}),
        ("Flat", "FLAT", {}),
    ],
)
def test_a_kind_is_what_milvus_is_told(given, name, parameters):
    kind = MilvusIndexKind.parse(given)
    assert (kind.name, kind.build_parameters) == (name, parameters)
    assert kind.is_exact == (name == "FLAT")


@pytest.mark.parametrize("given", ["hnsw", "SQfp16", "FLAT,3", "HNSW,0", "AUTOINDEX,1", "IVF"])
def test_a_kind_that_milvus_lacks_is_refused_with_those_it_has(given):
    with pytest.raises(InvalidSchemaError, match="supported: AUTOINDEX, FLAT, HNSW") as caught:
        MilvusIndexKind.parse(given)
    assert caught.value.field == "schema.index_kind"


def test_a_graph_keeps_at_least_as_many_candidates_as_are_wanted():
    kind = MilvusIndexKind.parse("HNSW")
    assert kind.search_parameters(10, Breadth()) == {"ef": 128}
    assert kind.search_parameters(500, Breadth(ef_search=64)) == {"ef": 500}


def test_no_more_lists_are_searched_than_there_are():
    kind = MilvusIndexKind.parse("IVF_FLAT,16")
    assert kind.search_parameters(10, Breadth()) == {"nprobe": 2}
    assert kind.search_parameters(10, Breadth(nprobe=100)) == {"nprobe": 16}
