"""What is deleted or filtered out costs no neighbour of those that remain, wherever they lie."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.kinds import Breadth, IndexKind
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.vectors import effort
from twopass.index.vectors.effort import Effort
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.segments import Segment
from twopass.index.vectors.vector_index import VectorChange, VectorIndex

from ..conftest import LANES

DIMENSION, NUM_GROUPS, GROUP_SIZE = 24, 40, 200
NUM_VECTORS = NUM_GROUPS * GROUP_SIZE
NUM_QUERIES, K = 20, 10
START = SequenceToken("0" * 32, 0)
KINDS = ["HNSW16", "HNSW16,SQfp16", "IVF64,Flat", "IVF64,SQfp16", "Flat", "SQfp16"]


def grouped_vectors(seed, count, centres):
    """Unit vectors about some centres, the group of each, in turn."""
    drawn = np.random.default_rng(seed)
    groups = np.arange(count) % NUM_GROUPS
    vectors = centres[groups] + 0.15 * drawn.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), groups


class Case:
    """An index of which some is in the base and some in the delta, and queries near it."""

    def __init__(self, path, kind):
        drawn = np.random.default_rng(0).standard_normal((NUM_GROUPS, DIMENSION))
        self.centres = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        self.vectors, self.groups = grouped_vectors(1, NUM_VECTORS, self.centres)
        self.queries, _ = grouped_vectors(2, NUM_QUERIES, self.centres)
        parsed = IndexKind.parse(kind)
        empty = Segment(
            parsed, parsed.create(DIMENSION), np.empty(0, np.int64), np.empty(0, np.bool_)
        )
        schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)
        loaded = LoadedVectors(empty, Segment.empty(DIMENSION), 0, START)
        never = MergePolicy(min_changes=10 * NUM_VECTORS)
        self.index = VectorIndex(
            "notes", schema, loaded, path / "base", LANES, num_threads=2, policy=never
        )
        self.position = 0
        self.is_there = np.zeros(NUM_VECTORS, np.bool_)
        self.update(added=np.arange(NUM_VECTORS - 800))
        self.index.merge().result()
        self.update(added=np.arange(NUM_VECTORS - 800, NUM_VECTORS))

    def update(self, *, removed=(), added=()):
        self.position += 1
        removed, added = np.array(removed, np.int64), np.array(added, np.int64)
        self.is_there[removed], self.is_there[added] = False, True
        token = SequenceToken(START.incarnation, self.position)
        change = VectorChange(removed + 1, added + 1, self.vectors[added], token)
        self.index.update(change).result()

    def check(self, among=None, k=K, least=0.95):
        """Makes sure that each query finds `k`, or all there are, and mostly the nearest."""
        keys = None if among is None else np.flatnonzero(among) + 1
        found = self.index.search(self.queries, k, keys, Breadth()).result()
        may = self.is_there if among is None else self.is_there & among
        k = min(k, int(may.sum()))
        assert found.keys.shape == (NUM_QUERIES, k)
        assert may[found.keys - 1].all()
        scores = np.where(may, self.queries @ self.vectors.T, -np.inf)
        best = -np.sort(-scores, axis=1)[:, :k]
        # Half precision keeps 11 bits of each component: a neighbour may be missed by that alone.
        hits = found.scores >= best[:, -1:] - 2**-9
        assert not hits.size or hits.mean() >= least
        assert (found.scores[found.exact] >= best[found.exact] - 2**-9).all()
        return found.exact


@pytest.fixture(params=KINDS)
def case(request, tmp_path):
    made = Case(tmp_path, request.param)
    yield made
    made.index.close()


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory):
    """An index of which nothing is deleted."""
    made = Case(tmp_path_factory.mktemp("whole"), request.param)
    yield made
    made.index.close()


@pytest.fixture(scope="module", params=KINDS)
def worn(request, tmp_path_factory):
    """An index of which half is deleted: some whole groups, and some of the others."""
    made = Case(tmp_path_factory.mktemp("worn"), request.param)
    drawn = np.random.default_rng(5).random(NUM_VECTORS)
    made.update(removed=np.flatnonzero((made.groups % 4 == 0) | (drawn < 0.3)))
    yield made
    made.index.close()


@pytest.fixture(params=["as estimated", "approximate where possible"])
def estimates(request, monkeypatch):
    """Few vectors are compared with each as they are; but so can be tried what many would see."""
    if request.param != "as estimated":
        monkeypatch.setattr(effort, "CHEAP_COMPONENTS", 0)
        whole = Effort.exact
        monkeypatch.setattr(Effort, "exact", lambda self, count: 10 * whole(self, count))


@pytest.mark.usefixtures("estimates")
@pytest.mark.parametrize("share", [0.08, 0.5, 0.9])
def test_deleting_whole_groups_leaves_the_neighbours_of_queries_in_them(case, share):
    case.update(removed=np.flatnonzero(case.groups < share * NUM_GROUPS))
    case.check()


@pytest.mark.usefixtures("estimates")
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_deleting_anything_leaves_the_neighbours_that_remain(case, share):
    drawn = np.random.default_rng(3).random(NUM_VECTORS)
    case.update(removed=np.flatnonzero(drawn < share))
    case.check()
    case.check(drawn > 0.8)


@pytest.mark.usefixtures("estimates")
@pytest.mark.parametrize("count", [1, 9, 100, 1_000, 5_000])
@pytest.mark.parametrize("where", ["anywhere", "near", "far"])
def test_members_are_found_wherever_they_lie(whole, where, count):
    nearness = whole.queries.mean(axis=0) @ whole.vectors.T
    order = {
        "anywhere": np.random.default_rng(4).permutation(NUM_VECTORS),
        "near": np.argsort(-nearness),
        "far": np.argsort(nearness),
    }[where]
    among = np.zeros(NUM_VECTORS, np.bool_)
    among[order[:count]] = True
    whole.check(among)
    whole.check(among, k=100)


@pytest.mark.usefixtures("estimates")
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    groups=st.sets(st.integers(0, NUM_GROUPS - 1)),
    share=st.sampled_from([0.0, 0.001, 0.03, 0.5, 1.0]),
    k=st.sampled_from([1, 7, 10, 50, 100, 3_000]),
    seed=st.integers(0, 99),
)
def test_whatever_passes_a_filter_is_found_as_by_comparing_with_all(worn, groups, share, k, seed):
    among = np.random.default_rng(seed).random(NUM_VECTORS) < share
    worn.check(among & np.isin(worn.groups, [*groups]), k)


def test_few_members_are_searched_exactly_in_every_kind(whole):
    among = np.arange(NUM_VECTORS) % 2 == 0
    assert whole.check(among, least=0.99).all()
