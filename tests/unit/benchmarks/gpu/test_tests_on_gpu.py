"""What pytest says of the tests on a GPU becomes rows."""

from twopass.benchmarks.gpu.tests_on_gpu import read_results

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
            "passed": 1,
            "failed": 1,
            "skipped": 1,
            "first words": "test_three: 1 is not 2",
        },
        {
            "tests": "tests.gpu.test_b",
            "passed": 1,
            "failed": 1,
            "skipped": 0,
            "first words": "test_four: no device",
        },
    ]
