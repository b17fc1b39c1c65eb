"""Servers in processes of their own: with a copy of the same documents each, or on one store."""

import json
import os
import signal
import subprocess
import sys
import threading

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

    def __init__(self, number: int, place: tuple[str, str], unwell_seconds: float) -> None:
        """Starts the server and writes the documents, which tell its number.

        Args:
            number: From 0.
            place: Where its collections are: "--data" and a folder, or "--store" and a URL. The
                first server of a store writes its documents.
            unwell_seconds: How long its reranker fails when it is broken.
        """
        self._place = place
        self._unwell_seconds = unwell_seconds
        self.target = "127.0.0.1:0"
        self.start()
        told = {} if place[0] == "--store" else {"server": number}
        documents = [Document(str(i), text, metadata=told) for i, text in enumerate(TEXTS)]
        with Client(self.target) as client:
            if COLLECTION in [each.name for each in client.list_collections()]:
                return
            client.create_collection(COLLECTION)
            client.upsert(COLLECTION, documents)

    def start(self) -> None:
        """Starts it, and returns once it serves."""
        flags = [*self._place, "--address", self.target, "--log-format", "json"]
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
