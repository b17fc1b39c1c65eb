"""Which sentences a command looks for, by its flags."""

import pytest
import typer

from twopass.commands.span_options import WantedSpans, what_to_show
from twopass.commands.terminal.failures import USAGE
from twopass.commands.terminal.spans import Shown

NONE = {"spans": False, "highlight": False, "pruned": False}


def test_a_table_shows_one_of_them_and_json_has_all(capsys):
    assert what_to_show(**NONE, as_json=False) is Shown.TEXT
    assert what_to_show(**NONE | {"pruned": True}, as_json=False) is Shown.PRUNED
    both = NONE | {"spans": True, "pruned": True}
    assert what_to_show(**both, as_json=True) is Shown.SPANS
    with pytest.raises(typer.Exit) as raised:
        what_to_show(**both, as_json=False)
    assert raised.value.exit_code == USAGE
    assert "--spans and --pruned: a table shows one of them" in capsys.readouterr().err


def test_the_server_is_asked_for_what_is_shown():
    assert WantedSpans(**NONE).options(num_hits=10) is False
    assert WantedSpans(**NONE | {"pruned": True}).options(num_hits=10).pruned_text
    asked = WantedSpans(**NONE | {"highlight": True}).options(num_hits=0)
    assert (asked.hits, asked.highlight.pre_tag) == (100, "**")


@pytest.mark.parametrize(
    ("told", "flag"),
    [
        ({"neighbors": 1}, "--neighbors"),
        ({"max_spans": 2}, "--max-spans"),
        ({"min_score": 0.5}, "--span-min-score"),
        ({"window_tokens": 64}, "--span-window"),
    ],
)
def test_a_flag_of_sentences_that_nobody_wants_is_an_error(told, flag, capsys):
    with pytest.raises(typer.Exit) as raised:
        WantedSpans(**NONE, **told).options(num_hits=10)
    assert raised.value.exit_code == USAGE
    assert flag in capsys.readouterr().err
