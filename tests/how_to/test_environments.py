"""Which programs are installed for the how-tos."""

import pytest

from .environments import REQUIREMENTS, is_for_this_python


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("cohere==7.3.1", True),
        ('cohere==7.3.1; python_version >= "3.11"  # why', True),
        ('cohere==7.3.1; python_version < "3.11"', False),
        ("./client", True),
        ("# cohere==7.3.1", False),
        ("", False),
    ],
)
def test_a_line_is_for_some_versions_of_python(line, wanted):
    assert is_for_this_python(line) == wanted


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda file: file.stem)
def test_every_program_is_pinned(file):
    lines = [line for line in file.read_text("utf-8").splitlines() if is_for_this_python(line)]
    assert file.stem == "overrides" or any("==" in line for line in lines) or not lines
