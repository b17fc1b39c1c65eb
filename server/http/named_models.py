"""Which model a request over HTTP means.

Clients of other services send those services' names of models unless told otherwise, and many
cannot be told. So a name that the server does not hold is answered by the default model, or refused
where `--http-unknown-model` is reject; the answer names the model that made it.
"""

import logging

from twopass.engines.base.model import LoadedEncoder, LoadedModel, LoadedReranker
from twopass.server.config_values import UnknownModel
from twopass.server.errors import UnknownModelError
from twopass.server.http.endpoint import HttpRequest
from twopass.server.models.registry import Models

_logger = logging.getLogger("twopass.server")
# What clients send that were told no model: Infinity's, and those of most generic front ends.
_NO_NAMES = frozenset({"", "default", "default/not-specified"})
# Names come from outside: so many are remembered, and told in the log, each once.
_MAX_NAMES_TOLD = 1_000
_MAX_CHARS_TOLD = 128


class OtherKindError(UnknownModelError):
    """The named model is an encoder where a reranker is needed, or the reverse."""


class NamedModels:
    """Finds the model of a request.

    A model of the prefix `/models/{id}` comes before one that the body names: the path was typed by
    whoever set the client up, the body may hold what the client sends by itself. For the same
    reason a prefix must name a model that the server holds, of the kind that is needed. So must a
    body that names one of the server's models; with any other name it means the default model.
    """

    def __init__(self, models: Models, unknown: UnknownModel = UnknownModel.DEFAULT) -> None:
        """Takes the models.

        Args:
            models: Those of the server.
            unknown: What becomes of a body that names none of them.
        """
        self._models = models
        self._rejects = unknown is UnknownModel.REJECT
        self._told: set[str] = set()

    def reranker(self, http: HttpRequest, named: str | None = None) -> LoadedReranker:
        """The reranker that a request means.

        Args:
            http: The request.
            named: The model that its body names; None or "" where it names none.

        Raises:
            OtherKindError: It names an encoder.
            UnknownModelError: The server holds no such model, or no reranker at all.
        """
        model = self._found(http, named) or self._models.reranker()
        if not isinstance(model, LoadedReranker):
            raise OtherKindError(
                f"model: {model.spec.id} is an encoder, it scores no passages; name a reranker, or "
                "leave model empty for the default one"
            )
        return model

    def encoder(self, http: HttpRequest, named: str | None = None) -> LoadedEncoder:
        """The encoder that a request means; as `reranker`.

        Raises:
            OtherKindError: It names a reranker.
            UnknownModelError: The server holds no such model, or no encoder at all.
        """
        model = self._found(http, named) or self._models.encoder()
        if not isinstance(model, LoadedEncoder):
            raise OtherKindError(
                f"model: {model.spec.id} is a reranker, it embeds no texts; name an encoder, or "
                "leave model empty for the default one"
            )
        return model

    def any(self, http: HttpRequest, named: str | None = None) -> LoadedModel | None:
        """The model that a request names, of whatever kind; None where it means a default one.

        Raises:
            UnknownModelError: It names a model that the server does not hold, and must not.
        """
        return self._found(http, named)

    def _found(self, http: HttpRequest, named: str | None) -> LoadedModel | None:
        if http.model:
            return self._get("path", http.model)
        if not named:
            return None
        if (model := self._models.find(named)) is not None:
            return model
        if named in _NO_NAMES:
            return None
        if self._rejects:
            return self._get("model", named)
        self._tell(named)
        return None

    def _get(self, where: str, name: str) -> LoadedModel:
        if (model := self._models.find(name)) is None:
            held = ", ".join(sorted(model.spec.id for model in self._models.all()))
            raise UnknownModelError(
                f"{where}: no model {name[:_MAX_CHARS_TOLD]!r}, there are {held or 'none'}"
            )
        return model

    def _tell(self, name: str) -> None:
        name = name[:_MAX_CHARS_TOLD]
        if name in self._told or len(self._told) >= _MAX_NAMES_TOLD:
            return
        self._told.add(name)
        _logger.warning(
            "request for an unknown model, answered by the default one: %s; "
            "--http-unknown-model reject refuses such requests%s",
            ascii(name),
            "; no further names are told" if len(self._told) == _MAX_NAMES_TOLD else "",
            extra={"model": name},
        )
