"""A server for a browser: `twopass serve` of the tree, in a process of its own."""

import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

_PYTHON = "TWOPASS_PYTHON"
_END_SECONDS = 120  # more than a drain takes


class ServedPage:
    """A running server, for as long as a `with` block lasts.

    Attributes:
        url: Where it answers over HTTP, without a slash at the end.
        target: Where it answers over gRPC.
    """

    def __init__(self, data: Path, *flags: str, port: int = 0) -> None:
        """Prepares a server.

        Args:
            data: Folder of its collections.
            flags: Further flags of `twopass serve`.
            port: Of HTTP, on the loopback interface. 0 takes a free one.
        """
        self.url = self.target = ""
        self._command = [
            *(os.environ[_PYTHON], "-m", "twopass.commands.main", "serve"),
            *("--data", str(data), "--address", "127.0.0.1:0", "--log-format", "json"),
            *("--http-address", f"127.0.0.1:{port}", *flags),
        ]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if line.startswith("{") and json.loads(line)["message"] == "serving":
                self.url, self.target = json.loads(line)["http"], json.loads(line)["address"]
                break
        else:
            raise AssertionError(f"the server ended before it served:\n{said}")
        self._drain = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._drain.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        finally:
            self._process.kill()  # of one that has ended, nothing
            self._process.wait()
            self._drain.join()

    def call(self, method: str, path: str, body: object = None, *, key: str = "") -> Any:
        """Calls REST below /api/v1; returns what the JSON of the answer holds."""
        headers = {"content-type": "application/json"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}", data=content, method=method, headers=headers
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def fill(
        self, collection: str, documents: Sequence[Mapping[str, Any]], *, key: str = ""
    ) -> None:
        """Creates a collection with these documents in it."""
        self.call("POST", "/collections", {"name": collection}, key=key)
        path = f"/collections/{collection}/documents"
        self.call("PUT", path, {"documents": documents}, key=key)

    def clear(self) -> None:
        """Removes all aliases and collections."""
        aliases = self.call("POST", "/aliases", {})["aliases"]
        changes = [{"alias": each["alias"], "collection": ""} for each in aliases]
        self.call("POST", "/aliases", {"changes": changes})
        for collection in self.call("GET", "/collections")["collections"]:
            self.call("DELETE", f"/collections/{collection['name']}")
