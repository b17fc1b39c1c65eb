"""A server over engines that cost nothing, as a process that tells what its threads have spent.

`python -m twopass.benchmarks.frontend.server '{"batch_seconds": 0, "settings": {…}}'`: a line of
JSON says where it serves; then each line of its standard input is answered by one with the
processor time of every thread so far. It ends with its standard input.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from twopass.benchmarks.frontend.costless import costless_models
from twopass.server.config import ServerConfig
from twopass.server.config_loading import load_config
from twopass.server.running import run
from twopass.server.serving import Serving
from twopass.server.telemetry.logs import LogFormat, LogLevel, configure_logging

# Threads that are no Python threads are of gRPC: no other library here keeps any that work.
_OTHERS = "native"


def thread_seconds() -> dict[str, float]:
    """Processor time of every thread of this process so far, by its name; added up by name."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            nanoseconds = int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except OSError:  # it ended meanwhile
            continue
        name = names.get(int(task.name), _OTHERS)
        spent[name] = spent.get(name, 0.0) + nanoseconds / 1e9
    return spent


def _tell(figures: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def _answer_questions() -> None:
    for _ in sys.stdin:
        _tell(thread_seconds())
    os.kill(os.getpid(), signal.SIGTERM)


def _began(serving: Serving) -> None:
    _tell({"address": serving.address, "http": serving.http_url})
    threading.Thread(target=_answer_questions, name="questions", daemon=True).start()


def main() -> None:
    """Serves until its standard input ends."""
    asked = json.loads(sys.argv[1])
    configure_logging(LogFormat.JSON, LogLevel.WARNING)
    # An earlier version, measured beside this one, may lack a setting.
    known = {n: value for n, value in asked["settings"].items() if n in ServerConfig.model_fields}
    config = load_config(known)
    seconds = float(asked["batch_seconds"])
    run(config, _began, lambda each: costless_models(each, seconds))


if __name__ == "__main__":
    main()
