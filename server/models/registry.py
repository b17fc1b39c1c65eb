"""The models a server holds: by revision for collections, by id for requests.

A model is known by its revision; an id is a name for it, one of several perhaps.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from twopass.engines.base.model import LoadedEncoder, LoadedModel, LoadedReranker
from twopass.engines.base.tokenizer import Tokenizer
from twopass.index.schema import CollectionSchema
from twopass.server.errors import EncoderChangedError, UnknownModelError

_Model = TypeVar("_Model", LoadedEncoder, LoadedReranker)

_logger = logging.getLogger("twopass.server")
# Digits of a revision that messages tell: no two models of a server agree in so many by chance.
_DIGITS = 12
_INDEX_ANEW = "or index anew and switch an alias: twopass export, twopass index, twopass alias"


class Models:
    """Loaded models. The first encoder and the first reranker are the defaults."""

    def __init__(self, models: Sequence[LoadedModel]) -> None:
        self._encoders = {m.spec.id: m for m in models if isinstance(m, LoadedEncoder)}
        self._rerankers = {m.spec.id: m for m in models if isinstance(m, LoadedReranker)}
        self._names = {name: m.spec.id for m in models for name in m.spec.other_names}
        self._defaults = {next(iter(kind), "") for kind in (self._encoders, self._rerankers)}

    def all(self) -> list[LoadedModel]:
        """Every model, defaults first, then by id."""
        models: list[LoadedModel] = [*self._encoders.values(), *self._rerankers.values()]
        return sorted(models, key=lambda m: (not self.is_default(m), m.spec.id))

    def is_default(self, model: LoadedModel) -> bool:
        """Whether it is the model of requests that name none of its kind."""
        return model.spec.id in self._defaults

    def get(self, model_id: str) -> LoadedModel:
        """The encoder or the reranker of that id or other name.

        Raises:
            UnknownModelError: The server holds no model of that id.
        """
        if (model := self.find(model_id)) is None:
            ids = [*self._encoders, *self._rerankers]
            raise UnknownModelError(
                f"id: no model {model_id!r}, there are {_listed(ids)}", model=model_id
            )
        return model

    def find(self, model_id: str) -> LoadedModel | None:
        """The encoder or the reranker of that id or other name; None where there is none."""
        known_as = self._names.get(model_id, model_id)
        return self._rerankers.get(known_as) or self._encoders.get(known_as)

    def encoder(self, model_id: str = "", field: str = "model") -> LoadedEncoder:
        """The encoder of that id; the default one for "".

        Args:
            model_id: Its id or another name.
            field: Where the request names it, for the error.

        Raises:
            UnknownModelError: The server holds no encoder of that id.
        """
        return _choose(self._encoders, self._names.get(model_id, model_id), "encoder", field)

    def encoder_of(self, collection: str, schema: CollectionSchema) -> LoadedEncoder:
        """The encoder that a collection's embeddings were made by, whatever its name is now.

        Args:
            collection: The collection's name, for messages.
            schema: Its schema; an encoder is set in it.

        Raises:
            UnknownModelError: The server does not hold that encoder.
            EncoderChangedError: The server holds another encoder under its name.
        """
        if (encoder := self._found(schema)) is not None:
            return encoder
        named = self._encoders.get(self._names.get(schema.encoder, schema.encoder))
        told = f"collection {collection!r}: {self._reason(schema, named)}"
        kind = UnknownModelError if named is None else EncoderChangedError
        raise kind(told, collection=collection, model=schema.encoder)

    def encoder_problem(self, schema: CollectionSchema) -> str:
        """Why a collection's encoder is not at hand, and the ways out; empty where it is."""
        if not schema.encoder_revision or self._found(schema) is not None:
            return ""
        named = self._encoders.get(self._names.get(schema.encoder, schema.encoder))
        return self._reason(schema, named)

    def current_revision(self, collection: str, schema: CollectionSchema) -> str:
        """The revision of a collection's encoder, which older servers knew by its weights.

        Where the server does not hold that encoder, the log says so, and the schema's is returned.
        """
        if (encoder := self._found(schema)) is not None:
            return encoder.spec.revision
        _logger.warning(
            "collection without its encoder: %s",
            self.encoder_problem(schema),
            extra={"collection": collection},
        )
        return schema.encoder_revision

    def _found(self, schema: CollectionSchema) -> LoadedEncoder | None:
        """The encoder of a schema's revision, new or old."""
        wanted = schema.encoder_revision
        of_weights = []
        for encoder in self._encoders.values():
            if encoder.spec.revision == wanted:
                return encoder
            if encoder.spec.legacy_revision == wanted:
                of_weights.append(encoder)
        if len(of_weights) > 1:
            # One set of weights, read in several ways: then the name tells which.
            name = self._names.get(schema.encoder, schema.encoder)
            of_weights = [encoder for encoder in of_weights if encoder.spec.id == name]
        return of_weights[0] if of_weights else None

    def _reason(self, schema: CollectionSchema, named: LoadedEncoder | None) -> str:
        made_by = (
            f"its embeddings were made by {schema.encoder} of revision "
            f"{schema.encoder_revision[:_DIGITS]}"
        )
        if named is None:
            return (
                f"{made_by}, which this server does not hold; start it with --more-models "
                f"{schema.encoder}, {_INDEX_ANEW}"
            )
        now = f"{made_by}, that name is revision {named.spec.revision[:_DIGITS]} here"
        if named.spec.weights_sha256 == schema.encoder_revision and named.spec.read_anew:
            now += f" ({named.spec.read_anew})"
        return f"{now}; hold the old one too with --more-models FOLDER, {_INDEX_ANEW}"

    def tokenizer_of(self, collection: str, schema: CollectionSchema) -> Tokenizer | None:
        """The tokenizer that made a collection's stored token ids; None where none are stored.

        Args:
            collection: The collection's name, for messages.
            schema: Its schema.

        Raises:
            UnknownModelError: No model of the server has that tokenizer.
        """
        if not schema.tokenizer_fingerprint:
            return None
        for tokenizer in self._tokenizers():
            if tokenizer.fingerprint == schema.tokenizer_fingerprint:
                return tokenizer
        problem = self.encoder_problem(schema) or (
            "its token ids were made by a tokenizer that no model of this server has; hold one "
            f"that does (fingerprint {schema.tokenizer_fingerprint}), {_INDEX_ANEW}"
        )
        raise UnknownModelError(
            f"collection {collection!r}: {problem}", collection=collection, model=schema.encoder
        )

    def _tokenizers(self) -> Iterator[Tokenizer]:
        """All tokenizers of passages."""
        for model in self.all():
            yield model.tokenizer
            if isinstance(model, LoadedEncoder):
                yield model.passage_tokenizer

    def reranker(self, model_id: str = "", field: str = "model") -> LoadedReranker:
        """The reranker of that id; the default one for "".

        Args:
            model_id: Its id or another name.
            field: Where the request names it, for the error.

        Raises:
            UnknownModelError: The server holds no reranker of that id.
        """
        return _choose(self._rerankers, self._names.get(model_id, model_id), "reranker", field)

    def reranker_of(self, revision: str) -> LoadedReranker | None:
        """The reranker of a revision, whatever its name is; None where the server has none."""
        return next((x for x in self._rerankers.values() if x.spec.revision == revision), None)

    def default_reranker_tokenizer(self) -> str:
        """Fingerprint of the default reranker's tokenizer; "" where there is no reranker."""
        reranker = next(iter(self._rerankers.values()), None)
        return reranker.tokenizer.fingerprint if reranker else ""


def _choose(models: dict[str, _Model], model_id: str, kind: str, field: str) -> _Model:
    if not model_id and models:
        return next(iter(models.values()))
    if model_id not in models:
        raise UnknownModelError(
            f"{field}: no {kind} {model_id!r}, there are {_listed(models) or 'none'}",
            model=model_id,
        )
    return models[model_id]


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids))
