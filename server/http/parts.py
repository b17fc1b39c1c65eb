"""What the dialects work with."""

from collections.abc import Callable
from dataclasses import dataclass

from twopass.server.config import ServerConfig
from twopass.server.edge.rpc import Edge
from twopass.server.http.named_models import NamedModels
from twopass.server.http.unpacking import Unpacking
from twopass.server.models.passages import Limits
from twopass.server.models.registry import Models
from twopass.server.models.texts import EmbedTexts
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.reranking import Reranking
from twopass.server.servicers.translating import Translating
from twopass.server.tei.operations import TeiOperations
from twopass.server.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """The rooms below, as the composition root has joined them.

    Attributes:
        config: The server's settings.
        models: The models.
        named_models: Which of them a request means.
        arbiter: Admits texts and pairs.
        tokenizing: Makes token ids of texts.
        reranking: Orders candidate sets.
        texts: Embeds texts.
        tei: What TEI does with a model.
        limits: What a request may hold.
        translating: Reads and builds large messages off the event loop.
        unpacking: Undoes gzip, off the event loop where much comes out.
        metrics: Counts.
        edge: Runs our own rpcs.
        is_well: Whether the server answers, by its engines and as long as it does not drain.
        grpc_port: The port of gRPC, once it listens; 0 for a Unix socket.
    """

    config: ServerConfig
    models: Models
    named_models: NamedModels
    arbiter: Arbiter
    tokenizing: Tokenizing
    reranking: Reranking
    texts: EmbedTexts
    tei: TeiOperations
    limits: Limits
    translating: Translating
    unpacking: Unpacking
    metrics: Metrics
    edge: Edge
    is_well: Callable[[], bool]
    grpc_port: Callable[[], int]
