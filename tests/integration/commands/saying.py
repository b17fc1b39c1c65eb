"""What a command says, in one line."""

import sys

COMMAND = [sys.executable, "-m", "twopass.commands.main"]


def said(ended) -> str:
    return " ".join(ended.stderr.split())
