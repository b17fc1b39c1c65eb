"""What a search is copied as runs elsewhere and finds the same."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from .conftest import Visiting
from .searching import ask, ids


@pytest.fixture
def copied(visit: Visiting) -> Iterator[Callable[[str], tuple[str, list[str]]]]:
    """What a button copies after a search with every setting, and the ids that the page shows."""
    with visit(permissions=["clipboard-read", "clipboard-write"]) as page:
        page.get_by_label("Candidates", exact=True).fill("4")
        page.get_by_label("Blend").press("Home")
        page.get_by_label("Top", exact=True).fill("2")
        page.get_by_role("textbox", name="Filter on metadata").fill(
            'place>=0 & title!="it\'s" & !x'
        )
        ask(page, 'What\'s the "capital" of Australia? $HOME `id` \\')

        def copy_as(name: str) -> tuple[str, list[str]]:
            page.get_by_role("button", name=name, exact=True).click()
            expect(page.locator("#copy-told")).to_have_text("copied")
            return page.evaluate("navigator.clipboard.readText()"), ids(page, "second")[:3]

        yield copy_as


def test_what_is_copied_as_curl_runs_and_finds_the_same(copied: Any) -> None:
    text, expected = copied("curl")
    ran = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    assert [hit["id"] for hit in json.loads(ran.stdout)["hits"]] == expected


def test_what_is_copied_as_python_runs_and_finds_the_same(copied: Any, tmp_path: Path) -> None:
    text, expected = copied("Python")
    script = tmp_path / "copied.py"
    script.write_text(text)
    ran = subprocess.run(
        [os.environ["TWOPASS_PYTHON"], str(script)], capture_output=True, text=True, check=True
    )
    assert [line.split()[-1] for line in ran.stdout.splitlines()[:-1]] == expected


def test_what_is_copied_for_grpcurl_is_a_request_of_the_contract(copied: Any) -> None:
    text, _ = copied("grpcurl")
    words = shlex.split(text.replace("\\\n", " "))
    assert words[:2] == ["grpcurl", "-plaintext"]
    assert words[-1] == "twopass.v1.SearchService/Search"
    parse = (
        "import sys; from google.protobuf.json_format import Parse; "
        "from twopass.v1.search_pb2 import SearchRequest; "
        "print(Parse(sys.argv[1], SearchRequest()).top_n)"
    )
    ran = subprocess.run(
        [os.environ["TWOPASS_PYTHON"], "-c", parse, words[words.index("-d") + 1]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "3"
