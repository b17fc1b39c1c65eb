"""An option that has no meaning alone is refused, by each command that has it."""

import pytest
from typer.testing import CliRunner

from twopass.client import Chunking
from twopass.commands.main import app
from twopass.commands.window_options import chunking


@pytest.mark.parametrize(
    ("window_tokens", "overlap_tokens", "asked"),
    [
        (None, None, None),
        (64, None, Chunking(64, 16)),
        (3, None, Chunking(3, 0)),
        (64, 0, Chunking(64, 0)),
        (64, 7, Chunking(64, 7)),
    ],
)
def test_windows_share_a_quarter_unless_it_is_said(window_tokens, overlap_tokens, asked):
    assert chunking(window_tokens, overlap_tokens) == asked


@pytest.mark.parametrize(
    "command", [("index", "docs", "missing.jsonl"), ("collections", "create", "docs")], ids=" ".join
)
def test_an_overlap_of_no_windows_is_refused_before_a_server_is_asked(command):
    target = ("--target", "127.0.0.1:1")
    ended = CliRunner().invoke(app, [*command, "--overlap-tokens", "7", *target])
    assert ended.exit_code == 2
    assert "--overlap-tokens: needs --window-tokens beside it" in " ".join(ended.stderr.split())
