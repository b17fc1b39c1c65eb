"""How many collections may be open follows from how many files may."""

import resource
import subprocess
import sys

import pytest

from twopass.server.open_files import max_open_collections

SAY_LIMITS = """
import resource
from twopass.server.open_files import raise_open_files_limit
print(raise_open_files_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("wanted", "num_files", "allowed"),
    [
        (1_000, 1_048_576, 1_000),
        (1_000_000, 1_048_576, 95_278),
        (1_000, 4_096, 325),
        (1_000, 512 + 11 * 7, 7),
        (1_000, 512 + 11 * 7 - 1, 6),
        (1_000, 256, 1),
    ],
)
def test_each_open_collection_may_take_eleven_files(wanted, num_files, allowed):
    assert max_open_collections(wanted, num_files) == allowed


def test_the_process_takes_all_files_that_it_is_given():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    given = min(2_048, hard if hard != resource.RLIM_INFINITY else 2_048)

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (given // 2, given))

    said = subprocess.run(
        [sys.executable, "-c", SAY_LIMITS], preexec_fn=limit, capture_output=True, check=True
    )
    assert said.stdout.split() == [str(given).encode()] * 2
