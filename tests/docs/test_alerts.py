"""docs/operations/alerts.md has a section for each alert, in their order, and no other."""

import re

import pytest
import yaml

from .mentions import fault
from .pages import ROOT

PAGE = ROOT / "docs" / "operations" / "alerts.md"
_BUILT = {"build", "dist", "node_modules"}


def alerts() -> list[str]:
    (file,) = (
        path
        for folder in ("docs", "deploy")
        for path in (ROOT / folder).rglob("alerts.yml")
        if not _BUILT & set(path.relative_to(ROOT).parts)
    )
    groups = yaml.safe_load(file.read_text("utf-8"))["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"]]


def sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)\n", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_alert_has_its_section():
    assert list(sections()) == alerts()


@pytest.mark.parametrize("alert", alerts())
def test_a_section_says_what_the_alert_means_and_then_what_to_do(alert):
    meaning, first, _ = sections()[alert].partition("\n1. ")
    assert len(meaning.split()) > 10
    assert first, "no steps"


def test_options_that_it_names_are_the_servers():
    options = set(re.findall(r"`(--[a-z-]+)[ `]", PAGE.read_text("utf-8")))
    assert "--max-bytes" in options
    assert not [said for option in sorted(options) if (said := fault(f"twopass serve {option}"))]
