"""Which models there are, in the words of OpenAI, vLLM, NIM and Infinity."""

import time
from collections.abc import Mapping

import msgspec

from twopass.engines.base.model import LoadedEncoder, LoadedModel
from twopass.server.errors import UnknownModelError
from twopass.server.http.bodies import encode
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.request import Request


class Model(msgspec.Struct):
    """A model, with OpenAI's fields and those that vLLM and NIM add.

    Attributes:
        root: The model that an adapter stands on; here always the model itself.
        max_model_len: Most tokens that it reads at once, special ones included.
        kind: "encoder" or "reranker": of ours, since no dialect has a word for it.
    """

    id: str
    object: str
    created: int
    owned_by: str
    root: str
    parent: str | None
    max_model_len: int
    kind: str


class InfinityModel(msgspec.Struct):
    """A model as Infinity tells it."""

    id: str
    stats: Mapping[str, float]
    object: str
    owned_by: str
    created: int
    backend: str
    capabilities: list[str]


class ModelList(msgspec.Struct):
    """All models, the default ones first."""

    object: str
    data: list[Model] | list[InfinityModel]


class ModelListing:
    """Tells the models of the server; below `/models/{id}` that one alone."""

    def __init__(self, parts: HttpParts) -> None:
        """Takes what it works with; the models are as old as this."""
        self._parts = parts
        self._created = int(time.time())

    async def all(self, http: HttpRequest, request: Request) -> Answer:
        """Lists them for OpenAI's clients."""
        del request
        return _listed([self._told(model) for model in self._models(http)])

    async def one(self, http: HttpRequest, request: Request) -> Answer:
        """Tells one of them."""
        del request
        name = http.variables["id"]
        model = next((model for model in self._models(http) if model.spec.id == name), None)
        model = model or self._parts.models.find(name)
        if model is None:
            held = ", ".join(sorted(model.spec.id for model in self._parts.models.all()))
            raise UnknownModelError(f"id: no model {name[:128]!r}, there are {held}")
        return Answer(body=encode(self._told(model)))

    async def infinitys(self, http: HttpRequest, request: Request) -> Answer:
        """Lists them for Infinity's clients, with how busy their device is."""
        del request
        queued, places = self._parts.arbiter.num_admitted, self._parts.config.max_queued_pairs
        stats = {
            "queue_fraction": queued / places,
            "queue_absolute": queued,
            "results_absolute": queued,
        }
        return _listed(
            [
                InfinityModel(
                    id=model.spec.id,
                    stats=stats,
                    object="model",
                    owned_by="infinity",  # its client knows no other
                    created=self._created,
                    backend=model.engine.info.engine,
                    capabilities=["embed"]
                    if isinstance(model, LoadedEncoder)
                    else ["rerank", "classify"],
                )
                for model in self._models(http)
            ]
        )

    def _models(self, http: HttpRequest) -> list[LoadedModel]:
        """The models, the default encoder first, which NIM's clients take that are told none."""
        if (named := self._parts.named_models.any(http)) is not None:
            return [named]
        models = self._parts.models
        return sorted(
            models.all(), key=lambda m: not (isinstance(m, LoadedEncoder) and models.is_default(m))
        )

    def _told(self, model: LoadedModel) -> Model:
        return Model(
            id=model.spec.id,
            object="model",
            created=self._created,
            owned_by="twopass",
            root=model.spec.id,
            parent=None,
            max_model_len=min(model.spec.max_seq_len, model.engine.info.max_seq_len),
            kind=model.spec.kind,
        )


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """The lists, and one model by its id."""
    listing = ModelListing(parts)
    return [
        Endpoint(name=name, method="GET", path=path, answer=answer, dialect=SHARED)
        for name, path, answer in (
            ("openai.models.list", "/v1/models", listing.all),
            ("openai.models.get", "/v1/models/{id=**}", listing.one),
            ("infinity.models", "/infinity/models", listing.infinitys),
        )
    ]


def _listed(models: list[Model] | list[InfinityModel]) -> Answer:
    return Answer(body=encode(ModelList("list", models)))
