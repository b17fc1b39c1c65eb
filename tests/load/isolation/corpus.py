"""Documents of the measured collections: made up, with vectors and metadata of their own."""

from functools import cache

import numpy as np
from google.protobuf.struct_pb2 import Value

from twopass.benchmarks.words import COMMON_WORDS
from twopass.v1.document_pb2 import Document, Vector
from twopass.v1.filter_pb2 import Condition, FieldCondition, Filter

DIMENSION = 64
CHUNK = 1_000
_WORDS = 60
_KINDS = ("book", "film", "map", "song", "letter")
_COUNTRIES = ("de", "fr", "it", "jp", "no", "pe", "za")
# One below the most that the contract allows.
NUM_CONDITIONS = 250


def chunk(number: int, size: int = CHUNK) -> list[Document]:
    """The documents of a chunk, the same for the same number; ids are distinct between chunks."""
    drawn = np.random.default_rng(number)
    vectors = drawn.standard_normal((size, DIMENSION)).astype(np.float32)
    words = drawn.choice(COMMON_WORDS, size + _WORDS).tolist()
    documents = []
    for row in range(size):
        document = Document(id=f"d{number * CHUNK + row}", text=" ".join(words[row : row + _WORDS]))
        document.vector.values.extend(vectors[row].tolist())
        document.metadata.update(
            {
                "year": 1900 + row % 125,
                "kind": _KINDS[row % len(_KINDS)],
                "price": round(float(abs(vectors[row, 0])), 3),
                "tags": words[row : row + 3],
                "is_draft": row % 7 == 0,
                "author": {"name": f"author {row % 500}", "country": _COUNTRIES[row % 7]},
            }
        )
        documents.append(document)
    return documents


def query(number: int) -> Vector:
    """A query's vector."""
    values = np.random.default_rng([number, 1]).standard_normal(DIMENSION)
    return Vector(values=values.astype(np.float32).tolist())


@cache
def heavy_filter(number: int = 0) -> Filter:
    """A legal filter that a fifth of the documents pass, each tested against all conditions.

    Every condition reads the metadata's JSON anew: no field of it has an index. The only one that
    any document passes is the last.
    """
    wanted = Filter()
    for row in range(NUM_CONDITIONS - 1):
        name = "tags" if row % 2 else "author.name"
        wanted.should.add().field.CopyFrom(
            FieldCondition(field=name, prefix=f"absent {number} {row}")
        )
    wanted.should.append(light_filter().must[0])
    return wanted


def light_filter() -> Filter:
    """A filter of one condition, that a fifth of the documents pass."""
    return Filter(
        must=[Condition(field=FieldCondition(field="kind", equal_to=Value(string_value=_KINDS[0])))]
    )
