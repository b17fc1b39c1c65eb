"""What pytest says of the tests on a GPU becomes rows."""

import pytest

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.tests_on_gpu import read_results
from twopass.benchmarks.gpu.variants import VARIANTS

_REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5">
<testcase classname="tests.gpu.test_a" name="test_one" time="0.1" />
<testcase classname="tests.gpu.test_a" name="test_two"><skipped message="no GPU" /></testcase>
<testcase classname="tests.gpu.test_a" name="test_three"><failure message="1 is
 not 2">trace</failure></testcase>
<testcase classname="tests.gpu.test_b" name="test_four"><error message="no device" /></testcase>
<testcase classname="tests.gpu.test_b" name="test_five" />
</testsuite></testsuites>
"""


def test_each_file_is_a_row_with_the_first_words_of_a_failure(tmp_path):
    (tmp_path / "tests.xml").write_text(_REPORT)
    assert read_results(tmp_path / "tests.xml") == [
        {
            "tests": "tests.gpu.test_a",
            "launch paths": "",
            "passed": 1,
            "failed": 1,
            "skipped": 1,
            "first words": "test_three: 1 is not 2",
        },
        {
            "tests": "tests.gpu.test_b",
            "launch paths": "",
            "passed": 1,
            "failed": 1,
            "skipped": 0,
            "first words": "test_four: no device",
        },
    ]


def test_tests_of_launch_paths_are_rows_of_their_own(tmp_path):
    (tmp_path / "tests.xml").write_text(
        """<testsuites><testsuite>
<testcase classname="a" name="test_golden[TorchEngine]" />
<testcase classname="a" name="test_alike[9-twopass-minilm-l6-cuda_graphs]" />
<testcase classname="a" name="test_alike[9-twopass-minilm-l6-cuda_graphs+fused_kernels]">
<failure message="apart" /></testcase>
</testsuite></testsuites>"""
    )
    found = read_results(tmp_path / "tests.xml")
    told = [(row[names.LAUNCH_PATHS], row["passed"], row["failed"]) for row in found]
    assert told == [("", 1, 0), ("cuda_graphs", 1, 0), ("cuda_graphs+fused_kernels", 0, 1)]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_paths_are_read_as_they_are_written(variant):
    cell = names.of_paths(variant.paths)
    assert names.paths_of(cell) == {*variant.paths}
    assert names.paths_in(f"test_x[1-all-MiniLM-L6-v2-{cell}]") == cell
