"""The servers that clients are tried against: one with keys, an open one, and one that is full."""

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.integration.serving import Stubs, places_taken
from twopass.server.config import ServerConfig
from twopass.server.edge.keys import make_key
from twopass.server.local import LocalServer
from twopass.v1 import embed_pb2, rerank_pb2

from .catalogue import Client
from .questions import BEST, LONG_QUERY, LONG_TEXT, PASSAGES, QUERY, TEXTS

DEFAULT_RERANKER, ENCODER = ServerConfig().reranker, ServerConfig().encoder
RERANKER = "twopass-minilm-l6"
"""What clients name: not the default, so that a name which is not obeyed is noticed."""

_PLACES = 64
_CALLS_PER_SECOND = 0.5


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Attributes:
        http: Over HTTP, host:port.
        rerank_target: Where its reranker speaks tei.v1.
        embed_target: Where its encoder does.
    """

    http: str
    rerank_target: str
    embed_target: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What is right: what the server answers over gRPC.

    Attributes:
        scores: By (reranker, query), the score and the logit of each passage.
        vectors: By text, its embedding.
    """

    scores: dict[tuple[str, str], list[tuple[float, float]]]
    vectors: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Servers:
    """Running servers.

    Attributes:
        addresses: By name: "keyed", "open", "full".
        key: A key of "keyed" that may read; the others ask for none.
        slow_keys: For each client, by its name, a key that may make a call in two seconds.
        reference: What they answer over gRPC.
    """

    addresses: dict[str, Address]
    key: str
    slow_keys: dict[str, str]
    reference: Reference


@contextmanager
def running(clients: Sequence[Client]) -> Iterator[Servers]:
    """Starts the servers; they end with the block."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twopass-compat-")))
        key = make_key()
        lines = [f'[[keys]]\nname = "reader"\nsha256 = "{key.sha256}"\nrole = "reader"\n']
        slow_keys = {}
        for number, client in enumerate(clients):
            slow = make_key()
            slow_keys[client.name] = slow.secret
            lines.append(
                f'[[keys]]\nname = "slow-{number}"\nsha256 = "{slow.sha256}"\nrole = "reader"\n'
                f"calls_per_second = {_CALLS_PER_SECOND}\n"
            )
        keys = scratch / "keys.toml"
        keys.write_text("\n".join(lines), encoding="utf-8")
        keyed = ("--keys", str(keys), "--http-unknown-model", "reject", "--open-reflection")
        addresses, targets = {}, {}
        for name, flags in (
            ("keyed", keyed),
            ("open", ()),
            ("full", ("--max-queued-pairs", str(_PLACES))),
        ):
            addresses[name] = address = _free_address()
            server = LocalServer(scratch / name, flags=(*_flags(address), *flags))
            targets[name] = stack.enter_context(server).target
        full = Stubs(targets["full"])
        stack.enter_context(places_taken(full, _PLACES))
        reference = _reference(Stubs(targets["keyed"], api_key=key.secret))
        yield Servers(addresses, key.secret, slow_keys, reference)


def _flags(address: Address) -> tuple[str, ...]:
    return (
        *("--more-models", RERANKER, "--http-address", address.http),
        *("--tei-address", f"{address.rerank_target}={RERANKER}"),
        *("--tei-address", f"{address.embed_target}={ENCODER}"),
    )


def _free_address() -> Address:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return Address(*(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets))


def _reference(stubs: Stubs) -> Reference:
    scores = {}
    candidates = [rerank_pb2.Candidate(text=text) for text in PASSAGES]
    for model in (RERANKER, DEFAULT_RERANKER):
        for query in (QUERY, LONG_QUERY):
            answer = stubs.rerank(
                rerank_pb2.RerankRequest(query=query, candidates=candidates, model=model)
            )
            by_index = {hit.index: (hit.score, hit.logit) for hit in answer.hits}
            scores[model, query] = [by_index[index] for index in range(len(PASSAGES))]
            best = answer.hits[0].index
            assert best == BEST, f"{model} finds {PASSAGES[best]!r} for {query[:60]!r}"
    texts = [*TEXTS, LONG_TEXT]
    embedded = stubs.embed(embed_pb2.EmbedRequest(texts=texts, model=ENCODER))
    vectors = [np.array(each.vector.values, np.float32) for each in embedded.embeddings]
    return Reference(scores, dict(zip(texts, vectors, strict=True)))
