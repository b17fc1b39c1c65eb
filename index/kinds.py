"""Index kinds: the faiss factory strings that a collection may have, and how each is searched."""

import re
from dataclasses import dataclass
from typing import Any

import faiss

from twopass.index.errors import InvalidQueryError, InvalidSchemaError

MIN_LINKS, MAX_LINKS = 4, 128
MIN_LISTS, MAX_LISTS = 2, 65_536
MAX_BREADTH = 65_536

# Codes that can be read back exactly as they were written, so that an index can be rebuilt from
# itself again and again: SQ8 and PQ would drift.
_FACTORY = re.compile(
    r"HNSW(?P<links>[1-9][0-9]*)(?:,(?:Flat|SQfp16))?|(?:IVF(?P<lists>[1-9][0-9]*),)?(?:Flat|SQfp16)"
)
_FORMS = (
    "Flat, SQfp16, HNSW<links>, HNSW<links>,SQfp16, IVF<lists>,Flat and IVF<lists>,SQfp16 "
    "(such as HNSW32 or IVF1024,Flat)"
)

# faiss's own default is 16, which finds few of the nearest in hundreds of thousands.
_DEFAULT_EF_SEARCH = 128
# An eighth of the lists. faiss's own default is one list.
_DEFAULT_NPROBE_SHARE = 8
# faiss warns below this many vectors a list: k-means would fit noise.
_TRAINING_VECTORS_PER_LIST = 39
_MAX_TRAINING_VECTORS_PER_LIST = 64  # four times as many take four times as long for little


@dataclass(frozen=True, slots=True, kw_only=True)
class Breadth:
    """How far an approximate search goes where every vector may be answered; others go further.

    A search that compares the query with every vector ignores it.

    Attributes:
        ef_search: How many candidates HNSW keeps, 1 to 65,536; at least k are kept. None: 128.
        nprobe: How many IVF lists are searched, 1 to 65,536; all where there are fewer. None: an
            eighth of them.
    """

    ef_search: int | None = None
    nprobe: int | None = None

    def check(self) -> None:
        """Makes sure that a search may go so far.

        Raises:
            InvalidQueryError: It may not.
        """
        for name, value in (("ef_search", self.ef_search), ("nprobe", self.nprobe)):
            if value is not None and not 1 <= value <= MAX_BREADTH:
                raise InvalidQueryError(
                    f"retrieve.{name}",
                    f"must be 1 to {MAX_BREADTH:,}, {value:,} given",
                    limit=MAX_BREADTH,
                    value=value,
                )


@dataclass(frozen=True, slots=True)
class IndexKind:
    """A faiss factory string, understood.

    Attributes:
        factory: The string.
        num_links: HNSW's links per vector; 0 for other kinds.
        num_lists: IVF's lists; 0 for other kinds.
    """

    factory: str
    num_links: int
    num_lists: int

    @classmethod
    def parse(cls, factory: str) -> "IndexKind":
        """Reads a factory string.

        Raises:
            InvalidSchemaError: It is none that a collection may have.
        """
        match = _FACTORY.fullmatch(factory)
        if match is None:
            raise InvalidSchemaError(
                "schema.index_kind", f"{factory!r} is not supported; supported: {_FORMS}"
            )
        links, lists = int(match["links"] or 0), int(match["lists"] or 0)
        if links and not MIN_LINKS <= links <= MAX_LINKS:
            raise InvalidSchemaError(
                "schema.index_kind",
                f"{factory!r}: HNSW needs {MIN_LINKS} to {MAX_LINKS} links, {links} given",
                limit=MAX_LINKS,
                value=links,
            )
        if lists and not MIN_LISTS <= lists <= MAX_LISTS:
            raise InvalidSchemaError(
                "schema.index_kind",
                f"{factory!r}: IVF needs {MIN_LISTS} to {MAX_LISTS:,} lists, {lists:,} given",
                limit=MAX_LISTS,
                value=lists,
            )
        return cls(factory, links, lists)

    @property
    def is_exact(self) -> bool:
        """Whether a search compares the query with every vector."""
        return not self.num_links and not self.num_lists

    @property
    def min_training(self) -> int:
        """Fewest vectors that it can be built from."""
        return _TRAINING_VECTORS_PER_LIST * self.num_lists

    @property
    def max_training(self) -> int:
        """More vectors than this are of no use to its training."""
        return _MAX_TRAINING_VECTORS_PER_LIST * self.num_lists

    def create(self, dimension: int) -> Any:
        """An empty faiss index, to be trained where `min_training` is not 0."""
        index = faiss.index_factory(dimension, self.factory, faiss.METRIC_INNER_PRODUCT)
        if self.num_lists:
            index.make_direct_map(True)  # 8 bytes a vector, so that vectors can be read back
            index.by_residual = False  # so that they come back as they were written
        return index

    def parameters(self, breadth: Breadth) -> Any:
        """What faiss is told of a search that every vector may answer."""
        if self.num_links:
            return faiss.SearchParametersHNSW(efSearch=self.ef_search(breadth))
        if self.num_lists:
            return faiss.SearchParametersIVF(nprobe=self.nprobe(breadth))
        return faiss.SearchParameters()

    def ef_search(self, breadth: Breadth) -> int:
        """How many candidates a search of a graph keeps at least."""
        return breadth.ef_search or _DEFAULT_EF_SEARCH

    def nprobe(self, breadth: Breadth) -> int:
        """How many lists a search looks through where every vector may be answered."""
        wanted = breadth.nprobe or -(-self.num_lists // _DEFAULT_NPROBE_SHARE)
        return min(wanted, self.num_lists)


FLAT = IndexKind("Flat", 0, 0)
