"""How hits are compared with each other, by a command's flags."""

from collections.abc import Callable

import pytest
import typer

from twopass.client import Collapse, Diversity
from twopass.commands.arranging_options import collapse_for, diversity_for
from twopass.commands.terminal.failures import USAGE


def test_without_flags_nothing_is_compared():
    assert collapse_for(None, "") is None
    assert diversity_for(None, None) is None


def test_near_duplicates_take_equal_texts_with_them_and_fields_do_not():
    assert collapse_for(0.9, "") == Collapse(similarity=0.9, equal_text=True)
    by_field = collapse_for(None, "author", 2, 5)
    assert by_field == Collapse(field="author", max_per_value=2, max_listed=5)
    assert diversity_for(0.7, 50) == Diversity(relevance_weight=0.7, depth=50)


@pytest.mark.parametrize(
    ("asked", "flag"),
    [
        (lambda: collapse_for(0.9, "", max_per_value=2), "--max-per-value"),
        (lambda: collapse_for(None, "", max_listed=2), "--max-listed"),
        (lambda: diversity_for(None, 50), "--diversity-depth"),
    ],
)
def test_a_flag_of_what_nobody_asks_for_is_an_error(
    asked: Callable[[], object], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as raised:
        asked()
    assert raised.value.exit_code == USAGE
    assert flag in capsys.readouterr().err
