"""A signal that should end a command ends it, wherever it comes; each in a process of its own."""

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")

BEGIN = """
import os, signal, threading, time
from twopass.commands import interrupts
from twopass.server.local import orderly_end

interrupts._AGAIN_SECONDS = float(os.environ["AGAIN"])

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    [None for _ in range(1_000)]  # Python handles it between two of these steps

"""


def run(script: str, again: float = 5.0) -> "subprocess.CompletedProcess[str]":
    """Runs a script, to which signals are sent again after so many seconds.

    These are more than a busy machine takes from a signal to what the script does next.
    """
    return subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        env={"AGAIN": str(again), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=_heed_signals,
    )


def _heed_signals() -> None:
    # Tests that run in the background, or under nohup, ignore them.
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)


DESTRUCTOR = """
class Object:
    def __del__(self):
        interrupt()

with interrupts.watched():
    try:
        Object()
        time.sleep(60)
    except KeyboardInterrupt:
        print("ended")
"""


def test_an_interrupt_that_python_drops_in_a_destructor_comes_again_at_once_and_unseen():
    ended = run(DESTRUCTOR)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")


SWALLOWED = """
with interrupts.watched():
    try:
        try:
            interrupt()
        except BaseException:
            pass
        time.sleep(60)
    except KeyboardInterrupt:
        print("ended")
"""


def test_an_interrupt_that_a_library_swallows_comes_again():
    ended = run(SWALLOWED, again=2)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")


WAITING = """
held = threading.Lock()
held.acquire()

def interrupt_another_thread():
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

with interrupts.watched():
    threading.Thread(target=interrupt_another_thread).start()
    try:
        held.acquire()
    except KeyboardInterrupt:
        print("ended")
"""


def test_a_signal_that_does_not_end_the_wait_for_a_lock_comes_again_and_ends_it():
    """As one does that comes just before the wait."""
    ended = run(WAITING, again=2)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")


STAYS = """
import itertools
with interrupts.watched(), orderly_end():
    for number in itertools.count():
        try:
            time.sleep(60) if number else os.kill(os.getpid(), signal.{})
        except BaseException:
            pass
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_command_that_goes_on_after_all_of_them_is_ended(name):
    ended = run(STAYS.format(name), again=1)
    assert ended.returncode == 128 + signal.Signals[name]
    assert ended.stderr == ""


HEARD = """
signal.signal(signal.SIGINT, lambda *_: interrupts.heard())
with interrupts.watched():
    interrupt()
    time.sleep(2)
    print("ended in its own time")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupt()
    except KeyboardInterrupt:
        print("and by the next")
time.sleep(2)
"""


def test_a_signal_that_is_heard_and_one_of_a_command_that_is_over_come_once():
    ended = run(HEARD, again=1)
    assert ended.stdout == "ended in its own time\nand by the next\n"
    assert (ended.returncode, ended.stderr) == (0, "")


FORKED = """
with interrupts.watched(), orderly_end():
    begun, begins = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(begins, b"!")
            time.sleep(60)
        finally:
            os._exit(3)
    os.read(begun, 1)
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == 3 << 8
    time.sleep(1)
    print("unharmed")
"""


def test_a_signal_to_a_forked_child_is_none_to_its_parent():
    ended = run(FORKED, again=0.1)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "unharmed\n", "")


UNCAUGHT = """
def fail():
    raise RuntimeError("at last")

def run_one():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

with interrupts.watched():
    run_one()
    try:
        interrupt()
    except KeyboardInterrupt:
        while not interrupts._watch._is_ending:
            time.sleep(0.01)
        run_one()
    interrupts.heard()
"""


def test_what_fails_in_a_thread_after_an_interrupt_is_not_shown():
    assert run(UNCAUGHT).stderr.count("RuntimeError: at last") == 1


HIDDEN = """
import sys
from twopass.commands import main, start

def fail():
    try:
        {}
    finally:
        raise RuntimeError("cannot release un-acquired lock")

main.app = fail
start.run()
"""


@pytest.mark.parametrize(
    ("raised", "status"),
    [("raise KeyboardInterrupt", 130), ("sys.exit(143)", 143)],
    ids=["SIGINT", "SIGTERM"],
)
def test_an_exception_on_the_way_out_hides_no_signal(raised, status):
    ended = run(HIDDEN.format(raised))
    assert (ended.returncode, ended.stderr) == (status, "")
    assert run(HIDDEN.format("pass")).returncode == 1
