"""A dozen documents that answer a dozen questions."""

import math
from functools import cache

from twopass.engines.model.calibration import Calibration
from twopass.engines.model.folder import open_model
from twopass.server.config import ServerConfig
from twopass.v1 import collection_pb2, document_pb2

from .serving import Stubs

FACTS = {
    "canberra": "Canberra is the capital city of Australia.",
    "strptime": "datetime.strptime parses a date from a string, according to a format.",
    "sky": "The sky is blue because the air scatters short wavelengths most.",
    "bees": "Honey bees dance to tell their hive where the flowers are.",
    "everest": "Mount Everest is the highest mountain above the level of the sea.",
    "bread": "Bread rises because yeast makes carbon dioxide out of sugar.",
    "tides": "The tides follow the moon, which pulls at the oceans.",
    "penicillin": "Alexander Fleming discovered penicillin in 1928.",
    "glass": "Glass is made of sand that was melted at 1,700 degrees.",
    "copyfile": "shutil.copyfile copies the contents of a file to another file.",
    "volcano": "Volcanoes erupt where molten rock finds its way to the surface.",
    "chess": "In chess the bishop moves along the diagonals.",
}

ENCODER, RERANKER = ServerConfig().encoder, ServerConfig().reranker
"""Names of the models that a server holds unless told otherwise."""

BLEND = open_model(RERANKER).spec.blend
"""The default reranker's own blend."""


@cache
def _calibration() -> Calibration:
    return open_model(RERANKER).spec.calibration


def calibrated(logit: float) -> float:
    """The score that the default reranker's calibration makes of a logit."""
    found = _calibration()
    return 1 / (1 + math.exp(-(found.a * logit + found.b)))


def document(document_id: str, text: str, **fields: object) -> document_pb2.Document:
    made = document_pb2.Document(id=document_id, text=text, title=str(fields.pop("title", "")))
    if fields:
        made.metadata.update(fields)
    return made


def fill(server: Stubs, name: str) -> None:
    """Creates a collection of `FACTS`; every other one has a title."""
    server.collections.CreateCollection(collection_pb2.CreateCollectionRequest(name=name))
    documents = [
        document(key, text, place=i, title=key.capitalize() if i % 2 == 0 else "")
        for i, (key, text) in enumerate(FACTS.items())
    ]
    server.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(collection=name, documents=documents)
    )
