"""The collections that are written to while servers are killed."""

from dataclasses import dataclass

from twopass.client import Chunking, Schema

from ..unit.engines.small_models import small_config
from .documents import DIMENSION


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of collection, of which there is one.

    Attributes:
        name: The collection's.
        schema: Its schema.
        dimension: Components of its vectors.
        num_ids: Different ids that one writer uses. With few, nearly every write replaces or
            deletes something, and a search can return all.
    """

    name: str
    schema: Schema
    dimension: int
    num_ids: int

    @property
    def is_split(self) -> bool:
        """Whether the server embeds its documents, by windows where they are long."""
        return self.schema.chunking is not None


def _brought(index_kind: str) -> Schema:
    return Schema(client_vectors=True, dimension=DIMENSION, index_kind=index_kind)


SHARED_KINDS = (
    Kind("flat", _brought("Flat"), DIMENSION, num_ids=150),
    Kind("graph", _brought("HNSW8"), DIMENSION, num_ids=150),
    Kind("split", Schema(chunking=Chunking(20, 4)), small_config()["hidden_size"], num_ids=70),
)
"""In a store that servers share; its graph is as exact as the first while it is small."""

KINDS = (
    Kind("flat", _brought("Flat"), DIMENSION, num_ids=150),
    # Searched in both of its lists, it is as exact as the first.
    Kind("lists", _brought("IVF2,Flat"), DIMENSION, num_ids=150),
    Kind("split", Schema(chunking=Chunking(20, 4)), small_config()["hidden_size"], num_ids=70),
)
"""In the default store."""
