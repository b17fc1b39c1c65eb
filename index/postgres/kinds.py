"""Index kinds: what vectors are stored as, and what they are searched by.

The names are those of the default store where pgvector has the same thing: `Flat` compares with
every vector, `HNSW<links>` walks a graph, `SQfp16` stores each component in two bytes. Lists (IVF)
are no kind here: pgvector trains them once, on what a table holds at that moment.
"""

import re
from dataclasses import dataclass

from twopass.index.errors import InvalidSchemaError
from twopass.index.schema import CollectionSchema, Metric

DEFAULT_KIND = "HNSW16"

_KIND = re.compile(r"HNSW(?P<links>[1-9][0-9]*)(?:,(?P<code>Flat|SQfp16))?|(?P<flat>Flat|SQfp16)")
_FORMS = (
    "Flat, SQfp16, HNSW<links> and HNSW<links>,SQfp16 (such as HNSW16), which are searched by "
    "pgvector"
)
_MIN_LINKS, _MAX_LINKS = 2, 100
# pgvector's bounds of an index over four bytes a component, and over two.
_MAX_INDEXED, _MAX_INDEXED_HALF = 2_000, 4_000
MAX_HALF = 65_504.0
"""The largest component that two bytes can hold."""
# How many candidates an insertion into the graph keeps. pgvector's own default is 64, and needs
# twice the links at least.
_EF_CONSTRUCTION = 64
MAX_EF_SEARCH = 1_000
_DEFAULT_EF_SEARCH = 128


@dataclass(frozen=True, slots=True)
class VectorKind:
    """An index kind for vectors of some dimension.

    Attributes:
        dimension: Components of a vector.
        num_links: HNSW's links a vector; 0 where every vector is compared.
        is_half: Whether a component is stored in two bytes.
        is_indexed_half: Whether the graph holds components of two bytes. It is half as large then,
            and as good; scores are those of what is stored all the same.
    """

    dimension: int
    num_links: int
    is_half: bool
    is_indexed_half: bool

    @classmethod
    def parse(cls, schema: CollectionSchema) -> "VectorKind":
        """Reads a schema's index kind.

        Raises:
            InvalidSchemaError: It is none that this store has, or the vectors have too many
                components for it.
        """
        kind, dimension = schema.index_kind, schema.dimension
        match = _KIND.fullmatch(kind)
        if match is None:
            raise InvalidSchemaError(
                "schema.index_kind",
                f"{kind!r} is not supported by the store postgresql; supported: {_FORMS}",
                value=kind,
            )
        links = int(match["links"] or 0)
        if links and not _MIN_LINKS <= links <= _MAX_LINKS:
            raise InvalidSchemaError(
                "schema.index_kind",
                f"{kind!r}: pgvector's HNSW needs {_MIN_LINKS} to {_MAX_LINKS} links, "
                f"{links} given",
                limit=_MAX_LINKS,
                value=links,
            )
        is_half = "SQfp16" in (match["code"], match["flat"])
        # Components of normalised vectors fit into two bytes; others may not.
        is_indexed_half = is_half or schema.metric is Metric.COSINE
        most = _MAX_INDEXED_HALF if is_indexed_half else _MAX_INDEXED
        if links and dimension > most:
            raise InvalidSchemaError(
                "schema.index_kind",
                f"{kind!r}: pgvector's HNSW takes vectors of at most {most:,} components under the "
                f"metric {schema.metric.value}, {dimension:,} given; choose Flat, or an encoder "
                "with fewer",
                limit=most,
                value=dimension,
            )
        return cls(dimension, links, is_half, is_indexed_half)

    @property
    def is_exact(self) -> bool:
        """Whether a search compares the query with every vector."""
        return not self.num_links

    @property
    def bytes_a_component(self) -> int:
        """Bytes that a component takes in the table."""
        return 2 if self.is_half else 4

    def column_type(self, vectors: str) -> str:
        """SQL of the type of the stored vectors; `vectors` is pgvector's schema."""
        return f"{vectors}.{'halfvec' if self.is_half else 'vector'}({self.dimension})"

    def index_over(self, vectors: str) -> str | None:
        """SQL of what the index is over, for CREATE INDEX; None where there is none."""
        if self.is_exact:
            return None
        operators = "halfvec_ip_ops" if self.is_indexed_half else "vector_ip_ops"
        construction = max(_EF_CONSTRUCTION, 2 * self.num_links)
        return (
            f"USING hnsw ({self.indexed('embedding', vectors)} {vectors}.{operators}) "
            f"WITH (m = {self.num_links}, ef_construction = {construction})"
        )

    def indexed(self, value: str, vectors: str) -> str:
        """SQL of a vector in the form in which the index holds it."""
        if self.is_indexed_half:
            return f"({value}::{vectors}.halfvec({self.dimension}))"
        return value

    def stored(self, value: str, vectors: str) -> str:
        """SQL of a vector in the form in which the table holds it."""
        return f"{value}::{self.column_type(vectors)}"

    def ef_search(self, wanted: int | None, k: int) -> int:
        """How many candidates a walk keeps; pgvector walks on where more are needed."""
        return min(MAX_EF_SEARCH, max(wanted or _DEFAULT_EF_SEARCH, k))
