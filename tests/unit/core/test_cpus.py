"""How many CPUs there are to use. Quotas of cgroups are tested in `tests/cpp/cgroup_test.cc`."""

import os
import subprocess
import sys

import pytest

from twopass import _core

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system has no affinity"
)


def test_there_are_no_more_than_the_process_may_run_on():
    assert 1 <= _core.available_cpus() <= len(os.sched_getaffinity(0))


def test_a_process_confined_to_one_cpu_has_one():
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from twopass import _core; print(_core.available_cpus())"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"
