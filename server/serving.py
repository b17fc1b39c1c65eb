"""What a server that has just begun to serve tells of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Serving:
    """Where a server is found, and with what.

    Attributes:
        address: Where gRPC listens, host:port or a Unix socket.
        http_url: Where it answers over HTTP; "" for nowhere.
        tei_targets: Where tei.v1 is spoken, in the order of `tei_address`.
        models: Each model's id, kind, engine and precision.
        num_collections: Collections in the store; None where it would have to be asked.
        place: Where the collections are: a folder, or a URL without its password; "" for a server
            that keeps none.
    """

    address: str
    http_url: str
    tei_targets: tuple[str, ...]
    models: tuple[tuple[str, str, str, str], ...]
    num_collections: int | None
    place: str
