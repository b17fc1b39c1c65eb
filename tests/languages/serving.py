"""A server as programs in other languages find it: by environment variables, over real sockets."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from twopass.server.local import LocalServer

_KEY = "key-of-the-languages"
_KEYS = f"""
[[keys]]
name = "languages"
sha256 = "{hashlib.sha256(_KEY.encode()).hexdigest()}"
role = "admin"
"""


@contextmanager
def served() -> Iterator[Mapping[str, str]]:
    """The environment of a program that calls the server: addresses and a key.

    `TWOPASS_TARGET` is where gRPC is served, `TWOPASS_URL` where HTTP is.
    """
    with tempfile.TemporaryDirectory(prefix="twopass-languages-") as folder:
        keys = Path(folder) / "keys.toml"
        keys.write_text(_KEYS)
        keys.chmod(0o600)
        flags = ("--http-address", "127.0.0.1:0", "--keys", str(keys))
        with LocalServer(Path(folder) / "data", flags=flags) as server:
            yield os.environ | {
                "TWOPASS_TARGET": server.target,
                "TWOPASS_URL": server.http_url,
                "TWOPASS_API_KEY": _KEY,
            }
