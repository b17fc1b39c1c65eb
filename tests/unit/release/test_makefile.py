"""`make help` names every target, and `make clean` deletes what they leave."""

import re

from deploy.release.version import ROOT

TEXT = (ROOT / "Makefile").read_text("utf-8")


def recipe(target: str) -> str:
    found = re.search(rf"^{target}:[^\n]*\n((?:\t.*\n|\s*\n)+)", TEXT, re.MULTILINE)
    assert found
    return found[1]


def test_help_names_every_target():
    targets = {
        word for line in re.findall(r"^\.PHONY:(.*)", TEXT, re.MULTILINE) for word in line.split()
    }
    assert len(targets) > 30
    named = set(re.findall(r"[a-z][a-z0-9-]*", recipe("help")))
    assert targets - {"help"} <= named


def test_pytest_is_called_as_its_variable_says():
    # PYTEST is "-m pytest", or a script that runs it: no "-m" stands before it.
    called = re.findall(r"(\S+) \$\(PYTEST\)", TEXT)
    assert len(called) > 5
    assert "-m" not in called


def test_clean_deletes_every_environment():
    environments = set(re.findall(r"^([A-Z]+) := \.venv", TEXT, re.MULTILINE))
    assert len(environments) > 10
    assert environments <= set(re.findall(r"\$\(([A-Z]+)\)", recipe("clean")))
