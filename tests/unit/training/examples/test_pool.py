"""Examples prepared by other processes."""

import itertools
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from twopass.training.examples.layout import PartSize, most_elements
from twopass.training.examples.pool import prepared_by, prepared_here
from twopass.training.examples.shared_memory import anonymous_file, as_int32, mapped, opened, shared
from twopass.training.examples.tokenized import Examples
from twopass.training.examples.worker import Assignment, Failed, Source, work
from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError

from ..conftest import PASSAGES
from ..processes import children_of, command_of, is_running

OPTIONS = TrainingOptions(questions=8, negatives=5, random_negatives=2, max_tokens=32)
SIZE = PartSize(300, 8, 0)
MOST = most_elements(OPTIONS, SIZE)


@pytest.fixture
def source(make_examples, groups):
    return Source(make_examples(groups, OPTIONS).sampler(), SIZE, pad_id=0)


def taken(steps):
    """What comes, copied before its memory is given back."""
    found = []
    for step in steps:
        found.append([(part.shape, part.array.tolist()) for part in step.parts])
        step.free()
    return found


@pytest.mark.parametrize("workers", [1, 2, 3, 20])
def test_any_number_of_processes_gives_the_same_steps_in_order(source, workers):
    steps = range(3, 14)
    assert taken(prepared_by(workers, source, steps, MOST)) == taken(prepared_here(source, steps))


def test_a_run_goes_on_at_any_step(source):
    whole = taken(prepared_here(source, range(12)))
    assert taken(prepared_by(2, source, range(7, 12), MOST)) == whole[7:]
    assert taken(prepared_by(2, source, range(12, 12), MOST)) == []


class Training:
    """The other end of a worker's connection: takes each step, and frees the oldest when asked."""

    def __init__(self, slots):
        self._slots = slots
        self._held = []
        self.num_taken = self.most_held = 0

    def send(self, prepared):
        slot = self._slots[self.num_taken % len(self._slots)]
        count = sum(shape.num_elements for shape in prepared.shapes)
        self._held.append((slot[:count], slot[:count].tolist()))
        self.num_taken += 1
        self.most_held = max(self.most_held, len(self._held))

    def recv(self):
        for array, as_taken in self._held:
            assert array.tolist() == as_taken
        del self._held[0]


@pytest.mark.parametrize("num_slots", [2, 4])
def test_what_is_not_given_back_is_not_written_over(source, num_slots):
    files = [anonymous_file(4 * MOST) for _ in range(num_slots)]
    training = Training([as_int32(mapped(file)) for file in files])
    work(training, source, Assignment(range(10), tuple(files)))
    for file in files:
        os.close(file)
    assert training.num_taken == 10
    assert training.most_held == num_slots


@pytest.mark.parametrize("ahead", [0, 3])
def test_as_many_steps_as_were_asked_for_are_held_at_once(source, ahead):
    steps = prepared_by(1, source, range(20), MOST, ahead=ahead)
    held = [next(steps) for _ in range(2 + ahead)]
    expected = taken(prepared_here(source, range(2 + ahead)))
    assert [[(p.shape, p.array.tolist()) for p in step.parts] for step in held] == expected
    steps.close()


def test_no_file_of_the_folder_stands_for_a_module(source, tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise ImportError('not the standard library')\n")
    monkeypatch.chdir(tmp_path)
    steps = range(3)
    assert taken(prepared_by(1, source, steps, MOST)) == taken(prepared_here(source, steps))


def test_processes_end_when_the_iterator_is_closed(source):
    children = set(children_of(os.getpid()))
    steps = prepared_by(2, source, range(1_000), MOST)
    next(steps)
    assert len(set(children_of(os.getpid())) - children) == 2
    steps.close()
    assert set(children_of(os.getpid())) <= children


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_raised_as_it_is_at_its_step(source, workers, tokenizer, groups):
    damaged = replace(groups[0], passages=(0, 10**6), similarity=(0.5, 0.4))
    passages = tokenizer.encode(PASSAGES, OPTIONS.max_tokens)
    examples = Examples(passages, [damaged, *groups[1:]], tokenizer, OPTIONS)
    failing = replace(source, sampler=examples.sampler())
    steps, expected = (
        prepared_by(workers, failing, range(8), MOST),
        prepared_here(failing, range(8)),
    )
    expected_at, expected_error = failure_of(expected)
    failed_at, error = failure_of(steps)
    assert failed_at == expected_at
    assert str(error) == str(expected_error)
    assert f"step {failed_at}" in error.__notes__[0]


def failure_of(steps):
    """How many steps come, and what is raised then."""
    taken = 0
    try:
        for step in steps:
            taken += 1
            step.free()
    except IndexError as error:
        return taken, error
    raise AssertionError("nothing was raised")


def test_an_error_that_can_not_be_sent_is_told_by_its_text():
    class LocalError(Exception):
        pass

    failed = Failed.of(LocalError("of no module"))
    assert failed == Failed(b"", "LocalError: of no module")


def test_a_killed_process_is_told_with_its_status(source):
    steps = prepared_by(1, source, range(100), MOST)
    next(steps)
    (child,) = [c for c in children_of(os.getpid()) if "examples.worker" in command_of(c)]
    os.kill(child, signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"step \d: the process .* status -9; --workers 0"):
        list(itertools.islice(steps, 3))


def test_nothing_is_left_when_the_training_is_killed(source, tmp_path):
    """No process: the connection of each breaks. No file either: their memory has no name."""
    program = tmp_path / "training.py"
    program.write_text(
        "import sys, pickle, time\n"
        "from twopass.training.examples.pool import prepared_by\n"
        "source, most = pickle.loads(sys.stdin.buffer.read())\n"
        "steps = prepared_by(2, source, range(1000), most)\n"
        "next(steps)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdin.write(pickle.dumps((source, MOST)))
    process.stdin.close()
    assert process.stdout.readline() == b"ready\n"
    workers = children_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_does_not_reach_the_processes(source):
    """It goes to the whole group; who trains ends them."""
    steps = prepared_by(1, source, range(100), MOST)
    next(steps).free()
    for child in children_of(os.getpid()):
        if "examples.worker" in command_of(child):
            os.kill(child, signal.SIGINT)
    for _ in range(5):
        next(steps).free()
    steps.close()


def test_the_processes_load_neither_a_library_of_models_nor_a_client():
    program = "import sys, twopass.training.examples.worker; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"torch", "transformers", "tokenizers", "grpc"} & set(loaded)


def test_shared_arrays_are_views_of_what_is_shared():
    value = {"one": np.arange(1_000), "two": (np.zeros((3, 5), np.float32), "text")}
    file = shared(value)
    try:
        read = opened(file)
    finally:
        os.close(file)
    np.testing.assert_array_equal(read["one"], value["one"])
    np.testing.assert_array_equal(read["two"][0], value["two"][0])
    assert read["two"][1] == "text"
    assert not read["one"].flags.owndata
    assert not read["one"].flags.writeable
