"""Servers in processes of their own, each with its own copy of the same documents."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from twopass.client import Client, Document

COLLECTION = "docs"
TEXTS = (
    "The tides of the sea follow the moon, which draws the water nearest to it.",
    "Canberra is the capital city of Australia, chosen between Sydney and Melbourne.",
    "Rayleigh scattering of sunlight by molecules of the air makes the sky blue.",
    "datetime.strptime parses a string into a datetime by a format.",
    "Sand is worn stone, carried by rivers and ground by waves.",
    "Bees tell each other by a dance where flowers are to be found.",
    "Bread rises because yeast turns sugar into gas that the dough holds.",
    "A kettle sings before it boils, when bubbles collapse in cooler water.",
)


class Replica:
    """One server, which can be broken, killed, drained and started again at the same address.

    Attributes:
        target: Where it listens.
    """

    def __init__(self, number: int, data: Path, unwell_seconds: float) -> None:
        """Starts the server and writes the documents, which tell its number."""
        self._data = data
        self._unwell_seconds = unwell_seconds
        self.target = "127.0.0.1:0"
        self.start()
        with Client(self.target) as client:
            client.create_collection(COLLECTION)
            client.upsert(
                COLLECTION,
                (
                    Document(str(i), text, metadata={"server": number})
                    for i, text in enumerate(TEXTS)
                ),
            )

    def start(self) -> None:
        """Starts it, and returns once it serves."""
        flags = ["--data", str(self._data), "--address", self.target, "--log-format", "json"]
        flags += ["--threads", "1", "--probe-seconds", "1", "--drain-seconds", "600"]
        command = [sys.executable, "-m", "tests.load.replicas.server", str(self._unwell_seconds)]
        # In a session of its own, so that Ctrl-C reaches this process alone.
        self._process = subprocess.Popen(
            [*command, "serve", *flags], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stderr is not None
        said = ""
        for said in self._process.stderr:
            if '"serving"' in said:
                break
        else:
            raise SystemExit(f"a server did not start: {said.strip()}")
        self.target = json.loads(said)["address"]
        # Read to the end, so that a full pipe holds up nobody.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def break_reranker(self) -> None:
        """Lets its reranker fail for a while."""
        os.kill(self._process.pid, signal.SIGUSR1)

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def drain(self) -> None:
        """Ends it with SIGTERM, and returns once it has ended.

        Raises:
            SystemExit: It ended otherwise.
        """
        self._process.terminate()
        if status := self._process.wait():
            raise SystemExit(f"a server that was drained ended with status {status}")
