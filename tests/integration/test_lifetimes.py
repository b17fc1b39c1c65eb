"""A server ends with what started it, however that ends: no process stays, no temporary folder."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from .processes import SECONDS, WAYS, command

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="finds processes in /proc, which Linux alone has"
)

STARTS = """
import sys, time
from twopass.server.local import LocalServer

print("starting", flush=True)
with LocalServer(None) as server:
    print("serving", server.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("phase", ["starting", "serving"])
def test_a_server_ends_with_what_started_it_and_its_temporary_folder_too(tmp_path, phase, way):
    with command(["-c", STARTS], tmp_path) as running:
        running.wait_until_printed(phase)
        WAYS[way](running)
        running.wait_until_nothing_is_left()


def test_a_server_drains_once_at_ctrl_c_and_says_nothing_twice(tmp_path):
    logging = STARTS.replace("(None)", "(None, log=__import__('pathlib').Path('log'))")
    with command(["-c", logging], tmp_path) as running:
        running.wait_until_printed("serving")
        running.type_ctrl_c()
        running.wait_until_nothing_is_left()
    log = (tmp_path / "log").read_text()
    assert log.count('"draining"') == log.count('"stopped"') == 1
    assert "second signal" not in log


TWO = """
import sys, time
from twopass.server.local import LocalServer

with LocalServer(None) as one, LocalServer(None) as other:
    print("serving", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("way", ["SIGKILL", "Ctrl-C"])
def test_servers_that_one_command_started_keep_no_end_of_each_others_pipes(tmp_path, way):
    with command(["-c", TWO], tmp_path) as running:
        running.wait_until_printed("serving")
        WAYS[way](running)
        running.wait_until_nothing_is_left()


WITH_WORKERS = """
import multiprocessing, subprocess, sys, time
from twopass.server.local import LocalServer

def work(begun):
    begun.set()
    time.sleep(600)

if __name__ == "__main__":
    with LocalServer(None) as server:
        others = []
        for how in ("fork", "spawn"):
            context = multiprocessing.get_context(how)
            begun = context.Event()
            worker = context.Process(target=work, args=(begun,))
            worker.start()
            begun.wait()  # one that is still being started ends with what starts it
            others.append(worker.pid)
        program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        others.append(program.pid)
        print("serving", server.pid, *others, "end", flush=True)
        time.sleep(600)
"""


def test_no_child_that_outlives_its_parent_keeps_the_server(tmp_path):
    """Workers of a data loader, forked or spawned, and programs hold no end of the pipe."""
    script = tmp_path / "workers.py"
    script.write_text(WITH_WORKERS)
    with command([str(script)], tmp_path) as running:
        running.wait_until_printed("end")
        server, *others = map(int, running.printed.split()[1:5])
        assert server in running.processes()
        running.process.kill()
        until = time.monotonic() + SECONDS
        while server in running.processes():
            assert time.monotonic() < until
            time.sleep(0.05)
        for each in others:
            os.kill(each, 0)  # raises where there is no such process


FORKED = """
import json
import os
import re
from twopass.server.local import LocalServer

with LocalServer(None) as server:
    child = os.fork()
    if not child:
        raise SystemExit(3)
    assert os.waitpid(child, 0)[1] == 3 << 8
    os.kill(server.pid, 0)
    print("unharmed", sorted(os.listdir(os.environ["TMPDIR"])), flush=True)
"""


def test_a_forked_child_that_leaves_the_block_ends_nothing_and_deletes_nothing(tmp_path):
    with command(["-c", FORKED], tmp_path) as running:
        running.wait_until_printed("unharmed")
        running.wait_until_printed("'twopass-")
        running.wait_until_nothing_is_left()
        assert running.process.returncode == 0


RAISES = """
import threading
from twopass.server.local import LocalServer

def run():
    with LocalServer(None):
        print("serving", flush=True)
        raise RuntimeError("at last")

thread = threading.Thread(target=run)
thread.start()
thread.join()
print("over", flush=True)
"""


def test_a_server_that_a_thread_started_ends_with_the_threads_exception(tmp_path):
    with command(["-c", RAISES], tmp_path) as running:
        running.wait_until_printed("over")
        assert "RuntimeError: at last" in running.printed
        running.wait_until_nothing_is_left()
        assert running.process.returncode == 0


def test_a_server_whose_thread_has_ended_lives_on(tmp_path):
    """A kernel's notice of a parent's death goes by the thread; the pipe goes by the process."""
    script = RAISES.replace("raise RuntimeError", "server.__exit__ = print").replace(
        "    with LocalServer(None):\n",
        "    server = LocalServer(None).__enter__()\n    if True:\n",
    )
    script += "import time; time.sleep(1); server_is = open('/proc/self/stat').read()\n"
    script += "print('waiting', flush=True); time.sleep(600)\n"
    with command(["-c", script], tmp_path) as running:
        running.wait_until_printed("waiting")
        assert len(running.processes()) == 2
        running.process.kill()
        running.wait_until_nothing_is_left()


SIGNALS = {
    "SIGTERM": signal.SIGTERM,
    "SIGHUP": signal.SIGHUP,
    "Ctrl-C": signal.SIGINT,
    "its terminal's end": signal.SIGHUP,
}
SERVE = ["-m", "twopass.commands.start", "serve", "--data", "data", "--address", "127.0.0.1:0"]


@pytest.mark.parametrize("way", ["SIGTERM", "SIGHUP", "Ctrl-C", "its terminal's end"])
@pytest.mark.parametrize("phase", ["loading", "serving"])
def test_serve_ends_clean_on_every_signal_whether_it_serves_yet_or_not(tmp_path, phase, way):
    with command([*SERVE, "--log-level", "debug"], tmp_path) as running:
        running.wait_until_printed("serving") if phase == "serving" else time.sleep(1.0)
        WAYS[way](running)
        running.wait_until_nothing_is_left()
        # A signal that comes while Python itself is starting, or before settings are read, ends it
        # as it ends any program: by the signal, or with the status that shells give that.
        number = SIGNALS[way]
        statuses = {0, -number, 128 + number} if phase == "loading" else {0}
        assert running.process.returncode in statuses, running.printed
        # Python's own, of a Ctrl-C before any module of ours was read.
        assert "Traceback" not in running.printed or running.process.returncode == -signal.SIGINT


DROPPED = """
import os, signal
from twopass.server import ending

class Object:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)  # Python drops what the handler raises here
        [None for _ in range(1_000)]

ending.stop_while_starting()
Object()
try:
    ending.ensure_not_stopped()
except ending.StoppedError:
    print("stopped all the same")
"""


def test_a_signal_whose_error_was_dropped_while_a_server_starts_ends_it_all_the_same():
    ended = subprocess.run(
        [sys.executable, "-c", DROPPED], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "stopped all the same\n"
    assert "StoppedError" in ended.stderr  # Python says what it dropped


def test_a_folder_with_something_in_it_is_no_temporary_one(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter").write_text("Dear")
    with command([*SERVE, "--temporary"], tmp_path) as running:
        running.wait_until_nothing_is_left()
        assert running.process.returncode == 1
        assert "--temporary: data is not empty" in running.printed
        assert "Traceback" not in running.printed
    assert (tmp_path / "data" / "letter").read_text() == "Dear"


def test_in_a_terminal_serve_says_where_it_is_and_what_comes_next(tmp_path):
    with command([*SERVE, "--http-address", "127.0.0.1:0"], tmp_path) as running:
        running.wait_until_printed("Ctrl-C stops the server.")
        assert re.search(r"page +http://127\.0\.0\.1:\d+/ui\r?\n", running.printed)
        assert "collections  0 in data" in running.printed
        running.type_ctrl_c()
        running.wait_until_nothing_is_left()


def test_a_log_for_machines_has_nothing_else_in_a_terminal_either(tmp_path):
    with command([*SERVE, "--log-format", "json"], tmp_path) as running:
        running.wait_until_printed('"serving"')
        running.process.send_signal(signal.SIGTERM)
        running.wait_until_printed('"stopped"')
        running.wait_until_nothing_is_left()
        lines = [json.loads(line) for line in running.printed.splitlines() if line]
        assert lines[-1]["message"] == "stopped"


@pytest.fixture
def test_collection(tmp_path):
    """A test collection that takes longer to index than a test waits."""
    folder = tmp_path / "large"
    folder.mkdir()
    text = "The sky is blue, since air scatters blue light more than red light. " * 8
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number in range(20_000):
            corpus.write(json.dumps({"_id": f"d{number}", "text": f"{number}. {text}"}) + "\n")
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "why is the sky blue"}\n')
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\td1\t1\n")
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_eval_leaves_nothing_wherever_it_is_killed_while_it_indexes(tmp_path, test_collection, way):
    arguments = ["-m", "twopass.commands.start", "eval", str(test_collection)]
    with command(arguments, tmp_path) as running:
        running.wait_until_printed("large: indexing")
        assert len(running.processes()) == 2
        WAYS[way](running)
        running.wait_until_nothing_is_left()
        assert "Traceback" not in running.printed
