"""Engines run on as many CPUs as they have threads, those of different cores first."""

import os
from pathlib import Path

import pytest

from twopass.benchmarks.engines.cpus import num_cores, thread_counts, usable_cpus


@pytest.fixture
def four_threads_of_two_cores(tmp_path, monkeypatch) -> Path:
    """A system where CPUs 0 and 1 are one core, 2 and 3 the other."""
    for cpu, siblings in enumerate(("0-1", "0-1", "2-3", "2-3")):
        topology = tmp_path / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(siblings + "\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    return tmp_path


def test_two_threads_are_on_two_cores(four_threads_of_two_cores):
    cpus = usable_cpus(four_threads_of_two_cores)
    assert cpus == [0, 2, 1, 3]
    assert num_cores(cpus[:2], four_threads_of_two_cores) == 2
    assert num_cores(cpus, four_threads_of_two_cores) == 2


def test_a_system_that_tells_no_cores_has_one_for_each_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1})
    assert usable_cpus(tmp_path) == [1, 3]
    assert num_cores([1, 3], tmp_path) == 2


@pytest.mark.parametrize(
    ("given", "counts"),
    [("0", (8,)), ("1", (1,)), ("1,2,4,8", (1, 2, 4, 8)), ("4,2,4", (4, 2)), ("8,0", (8,))],
)
def test_threads_are_one_number_or_several_and_each_is_measured_once(given, counts):
    assert thread_counts(given, 8) == counts


@pytest.mark.parametrize("given", ["", "two", "1,,2", "-1", "1;2"])
def test_what_is_no_list_of_numbers_is_refused(given):
    with pytest.raises(ValueError, match=r"--threads: .* given; a number is needed, or several"):
        thread_counts(given, 8)


def test_more_threads_than_cpus_are_refused():
    with pytest.raises(ValueError, match="--threads: 16 given, this process may use 8 CPUs"):
        thread_counts("1,16", 8)
