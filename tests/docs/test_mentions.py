"""Commands that are mentioned exist, with their options.

Figures name theirs, tables name many, and some stand in blocks that no test can run.
"""

import pytest

from .mentions import fault, mentioned
from .pages import blocks, name, pages


@pytest.mark.parametrize("page", pages(), ids=name)
def test_commands_that_are_mentioned_exist(page):
    found = mentioned(page.read_text("utf-8"), blocks(page))
    wrong = [
        f"{name(page)}:{line}: `{command}`: {said}"
        for line, command in found
        if (said := fault(command))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("twopass serve --http-address 127.0.0.1:8080", ""),
        ("twopass collections rename docs docs-2026 --keep-alias", ""),
        ("twopass serve --htp-address 127.0.0.1:8080", "twopass serve has no option --htp-address"),
        ("twopass collection list", "twopass has no command 'collection'"),
        ("make crash KILLS=200", ""),
        ("make crush", "the Makefile has no target crush"),
        ("make crash KILS=200", "the Makefile reads no variable KILS"),
        ("python -m twopass.benchmarks.size --texts", ""),
        ("python -m twopass.benchmarks.sise", "there is no module twopass.benchmarks.sise"),
        (
            "python -m twopass.benchmarks.size --txts",
            "python -m twopass.benchmarks.size has no option --txts",
        ),
    ],
)
def test_tells_what_is_wrong_with_a_command(command, said):
    assert fault(command) == said
