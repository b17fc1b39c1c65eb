"""The servers that integrations are tested against, and where `integrations/conftest.py` looks."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme

from twopass.server.edge.keys import make_key
from twopass.server.local import COMPUTES_ALL, LocalServer


@contextmanager
def running(scratch: Path) -> Iterator[Mapping[str, str]]:
    """Starts an open server, and one that takes TLS and keys alone; they end with the block.

    Args:
        scratch: An empty folder for their data and keys, which outlives the block.
    """
    key, authority = make_key(), trustme.CA()
    keys = scratch / "keys.toml"
    keys.write_text(f'[[keys]]\nname = "tests"\nsha256 = "{key.sha256}"\n', encoding="utf-8")
    own = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(scratch / "authority.pem"))
    own.private_key_pem.write_to_path(str(scratch / "own.key"))
    for number, part in enumerate(own.cert_chain_pems):
        part.write_to_path(str(scratch / "own.pem"), append=number > 0)
    secured = (
        *COMPUTES_ALL,
        *("--keys", str(keys)),
        *("--tls-certificate", str(scratch / "own.pem"), "--tls-key", str(scratch / "own.key")),
    )
    with ExitStack() as stack:
        plain = stack.enter_context(
            LocalServer(scratch / "plain", flags=("--http-address", "127.0.0.1:0", *COMPUTES_ALL))
        )
        secure = stack.enter_context(LocalServer(scratch / "secure", flags=secured))
        yield {
            "TWOPASS_TARGET": plain.target,
            "TWOPASS_HTTP_URL": plain.http_url,
            "TWOPASS_SECURE_TARGET": secure.target,
            "TWOPASS_SECURE_CERTIFICATE": str(scratch / "authority.pem"),
            "TWOPASS_SECURE_KEY": key.secret,
        }
