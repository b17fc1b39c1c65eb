"""What errors say in words, they say for programs too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = [
    path
    for folder in ("server", "index")
    for path in sorted((ROOT / folder).rglob("*.py"))
    # Dialects have errors of their own, without details; settings are no requests.
    if not {"dialects", "tei"} & set(path.parts) and "config" not in path.name
]
REFUSALS = {
    *("InvalidRequestError", "InvalidInputError", "InvalidDocumentError", "InvalidSchemaError"),
    *("InvalidAliasError", "InvalidRenameError", "InvalidQueryError", "InvalidFilterError"),
    "InvalidSettingsError",
    *("OverloadedError", "ResponseTooLargeError"),
}


def refusals(source):
    """The calls of a source that make an error about a limit, with their messages."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            texts = [
                part.value
                for part in ast.walk(node.args[-1])
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            if node.func.id in REFUSALS:
                yield node, "…".join(texts)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_limit_that_a_message_names_is_told_to_programs(path):
    untold = [
        f"{path.name}:{call.lineno}: {message[:80]}"
        for call, message in refusals(path.read_text())
        if "at most " in message
        and not {"limit", None} & {keyword.arg for keyword in call.keywords}  # None: **facts
    ]
    assert not untold
