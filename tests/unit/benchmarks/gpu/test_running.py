"""Checks run in processes apart: what hangs or dies costs itself, and time decides what runs."""

import dataclasses
import time

import pytest

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.catalogue import Check, checks_of
from twopass.benchmarks.gpu.outcome import Outcome
from twopass.benchmarks.gpu.running import Answer, Running, Worker
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.worker import scale_as_json, scale_of

DRY = Scale.dry()


def check(name, seconds=1.0, **others):
    return Check(name=name, run=lambda *_: [], seconds=seconds, dry_seconds=seconds, **others)


class Told:
    """A process that answers what a test says, and remembers what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked, self.processes = answers, [], []

    def __call__(self, scale, without, *, with_faiss_gpu):
        process = Process(self, tuple(without), with_faiss_gpu)
        self.processes.append(process)
        return process


class Process:
    def __init__(self, told, without, with_faiss_gpu):
        self.told, self.without, self.with_faiss_gpu = told, without, with_faiss_gpu
        self.num_checks, self.is_open = 0, True

    def run(self, name, seconds):
        assert self.is_open
        self.num_checks += 1
        self.told.asked.append((len(self.told.processes), name, self.without))
        answer = self.told.answers.get(name, Answer(Outcome(name, [{"a": 1}])))
        return answer(self.without) if callable(answer) else answer

    def close(self):
        self.is_open = False


def ran(checks, answers=None, end=None):
    told, done = Told(answers or {}), []
    Running(DRY, end=end, on_done=done.append, worker=told).run(checks)
    assert not any(process.is_open for process in told.processes)
    return done, told


def test_checks_run_in_their_order_in_one_process():
    done, told = ran([check("a"), check("b")])
    assert [each.name for each in done] == ["a", "b"]
    assert told.asked == [(1, "a", ()), (1, "b", ())]


def test_a_check_that_wants_a_process_of_its_own_has_one():
    _, told = ran([check("a"), check("b", is_alone=True), check("c")])
    assert [number for number, _, _ in told.asked] == [1, 2, 3]


def test_a_process_of_another_faiss_is_another():
    _, told = ran([check("a"), check("b", wants_faiss_gpu=True), check("c")])
    assert [p.with_faiss_gpu for p in told.processes] == [False, True, False]


def test_what_does_not_fit_is_left_out_with_its_words_and_what_does_runs():
    end = time.monotonic() + 50
    done, told = ran([check("long", 500.0), check("short", 5.0)], end=end)
    assert [name for _, name, _ in told.asked] == ["short"]
    assert done[0].obstacle.startswith("left out: it takes about 500 s, ")
    assert done[0].obstacle.endswith(" s left")
    assert done[1].rows == [{"a": 1}]


def test_after_the_end_everything_is_left_out_and_no_process_is_started():
    done, told = ran([check("a"), check("b")], end=time.monotonic() - 1)
    assert told.processes == []
    assert all(each.obstacle.startswith("left out") for each in done)


def broken(name, *engines, rows=()):
    return Answer(Outcome(name, list(rows), "they failed"), engines, is_over=True)


def test_an_engine_that_broke_its_process_is_left_out_from_then_on_and_the_check_runs_again():
    def answer(without):
        return Answer(Outcome("a", [{"b": 2}])) if without else broken("a", "first", "second")

    done, told = ran([check("a"), check("b")], {"a": answer})
    assert told.asked == [(1, "a", ()), (2, "a", ("first",)), (2, "b", ("first",))]
    assert done[0].rows == [{"b": 2}]
    assert done[0].obstacle == "again without first (they failed)"


def test_where_one_engine_failed_alone_what_the_others_gave_stands():
    done, told = ran([check("a"), check("b")], {"a": broken("a", "first", rows=[{"c": 3}])})
    assert done[0].rows == [{"c": 3}]
    assert told.asked == [(1, "a", ()), (2, "b", ("first",))]


def test_without_time_to_run_again_the_first_outcome_stands():
    def answer(without):
        del without
        time.sleep(0.2)
        return broken("a", "first", "second")

    done, told = ran([check("a", 1.0)], {"a": answer}, end=time.monotonic() + 1.1)
    assert [name for _, name, _ in told.asked] == ["a"]
    assert done[0].obstacle == "they failed"


def test_a_scale_travels_to_the_process_whole(tmp_path):
    scale = dataclasses.replace(DRY, models=tmp_path, logs=tmp_path / "logs")
    assert scale_of(scale_as_json(scale)) == scale
    assert scale_of(scale_as_json(DRY)) == DRY


def test_every_check_has_a_name_of_its_own_and_what_goals_are_read_from_comes_first():
    for scale in (DRY, Scale(None, on_gpu=True)):
        found = [each.name for each in checks_of(scale)]
        assert len(set(found)) == len(found)
        assert found[0] == names.TENSORRT
    assert found.index(names.SHAPES) > found.index(names.TRAINING) > found.index(names.MIXED)


def test_all_goals_fit_into_nine_minutes():
    scale, spent = Scale(None, on_gpu=True), 0.0
    for each in checks_of(scale):
        spent += each.expected(scale)
        if each.name == names.TRAINING:
            break
    assert spent < 9 * 60 - 60  # what the install takes


@pytest.fixture
def worker(tmp_path):
    """Starts real processes; their log is in `tmp_path`."""
    opened = []

    def start(**others):
        scale = dataclasses.replace(DRY, logs=tmp_path, **others)
        opened.append(Worker(scale, (), with_faiss_gpu="faiss_gpu" in others))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_a_real_process_answers_with_rows_or_words_and_goes_on(worker):
    process = worker()
    refused = process.run(names.COMPILED, 120)
    assert refused.outcome.obstacle.startswith("minutes of compilation on a CPU")
    assert (refused.broken, refused.is_over) == ((), False)
    found = process.run(names.SEARCH, 120)
    assert found.outcome.rows[0]["vectors"] == 2_000


def test_a_real_process_that_takes_too_long_is_killed_and_says_what_it_did(worker):
    answer = worker().run(names.SEARCH, 0.01)
    assert answer.is_over
    assert answer.outcome.obstacle == "killed after 0 s, at beginning"


def test_a_package_that_does_not_load_harms_the_checks_that_want_it_alone(worker, tmp_path):
    (tmp_path / "apart" / "faiss").mkdir(parents=True)
    (tmp_path / "apart" / "faiss" / "__init__.py").write_text(
        "raise ImportError('libcublas.so.12: cannot open shared object file')"
    )
    answer = worker(faiss_gpu=tmp_path / "apart").run(names.SEARCH, 120)
    assert answer.is_over
    assert answer.outcome.obstacle.startswith("the process ended with status 1 at beginning: ")
    assert answer.outcome.obstacle.endswith("libcublas.so.12: cannot open shared object file")
    assert worker().run(names.SEARCH, 120).outcome.rows


def test_whatever_a_check_raises_is_its_outcome_and_its_process_is_not_used_again(worker):
    answer = worker().run("no such check", 120)
    assert answer.outcome.obstacle == "KeyError: 'no such check'"
    assert answer.is_over
