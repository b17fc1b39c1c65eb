"""The models a server holds: by id, with a default of each kind."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from twopass.engines.base import LoadedEncoder, LoadedModel, LoadedReranker, Tokenizer
from twopass.index.schema import CollectionSchema
from twopass.server.errors import EncoderChangedError, UnknownModelError

_Model = TypeVar("_Model", LoadedEncoder, LoadedReranker)


class Models:
    """Loaded models by id. The first encoder and the first reranker are the defaults."""

    def __init__(self, models: Sequence[LoadedModel]) -> None:
        self._encoders = {m.spec.id: m for m in models if isinstance(m, LoadedEncoder)}
        self._rerankers = {m.spec.id: m for m in models if isinstance(m, LoadedReranker)}
        self._defaults = {next(iter(kind), "") for kind in (self._encoders, self._rerankers)}

    def all(self) -> list[LoadedModel]:
        """Every model, defaults first, then by id."""
        models: list[LoadedModel] = [*self._encoders.values(), *self._rerankers.values()]
        return sorted(models, key=lambda m: (not self.is_default(m), m.spec.id))

    def is_default(self, model: LoadedModel) -> bool:
        """Whether it is the model of requests that name none of its kind."""
        return model.spec.id in self._defaults

    def get(self, model_id: str) -> LoadedModel:
        """The encoder or the reranker of that id.

        Raises:
            UnknownModelError: The server holds no model of that id.
        """
        models: dict[str, LoadedModel] = {**self._encoders, **self._rerankers}
        if model_id not in models:
            raise UnknownModelError(f"id: no model {model_id!r}, there are {_listed(models)}")
        return models[model_id]

    def encoder(self, model_id: str = "") -> LoadedEncoder:
        """The encoder of that id; the default one for "".

        Raises:
            UnknownModelError: The server holds no encoder of that id.
        """
        return _choose(self._encoders, model_id, "encoder")

    def encoder_of(self, schema: CollectionSchema) -> LoadedEncoder:
        """The encoder that a collection's embeddings were made by.

        Raises:
            UnknownModelError: The server does not hold that encoder.
            EncoderChangedError: The server holds other weights under that id.
        """
        encoder = self.encoder(schema.encoder)
        if encoder.spec.revision != schema.encoder_revision:
            raise EncoderChangedError(
                f"collection: its embeddings were made by {schema.encoder} of revision "
                f"{schema.encoder_revision[:12]}, the server holds {encoder.spec.revision[:12]}; "
                "serve the old weights, or index into a new collection"
            )
        return encoder

    def tokenizer_of(self, schema: CollectionSchema) -> Tokenizer | None:
        """The tokenizer that made a collection's stored token ids; None where none are stored.

        Raises:
            UnknownModelError: No model of the server has that tokenizer.
        """
        if not schema.tokenizer_fingerprint:
            return None
        for model in self.all():
            if model.tokenizer.fingerprint == schema.tokenizer_fingerprint:
                return model.tokenizer
        raise UnknownModelError(
            "collection: its token ids were made by a tokenizer that no model of this server has; "
            f"serve one that does (fingerprint {schema.tokenizer_fingerprint})"
        )

    def reranker(self, model_id: str = "") -> LoadedReranker:
        """The reranker of that id; the default one for "".

        Raises:
            UnknownModelError: The server holds no reranker of that id.
        """
        return _choose(self._rerankers, model_id, "reranker")

    def default_reranker_tokenizer(self) -> str:
        """Fingerprint of the default reranker's tokenizer; "" where there is no reranker."""
        reranker = next(iter(self._rerankers.values()), None)
        return reranker.tokenizer.fingerprint if reranker else ""


def _choose(models: dict[str, _Model], model_id: str, kind: str) -> _Model:
    if not model_id and models:
        return next(iter(models.values()))
    if model_id not in models:
        raise UnknownModelError(
            f"model: no {kind} {model_id!r}, there are {_listed(models) or 'none'}"
        )
    return models[model_id]


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids))
