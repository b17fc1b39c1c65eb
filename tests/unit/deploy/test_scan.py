"""What a scan of an image says where a source knows of something, of nothing, or is not reached."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[3] / "deploy" / "image" / "scan.py"
SOURCES = ("ask_osv", "ask_tracker", "ask_archive")


@pytest.fixture
def scan() -> ModuleType:
    specification = importlib.util.spec_from_file_location("scan", FILE)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (([], [], []), 0),
        (([], ["CVE-1"], []), 1),
        ((None, [], None), 0),
        ((None, ["CVE-1"], None), 1),
        ((None, None, None), 2),
    ],
    ids=["nothing", "something", "one asked", "one asked, something", "none asked"],
)
def test_the_status_tells_what_is_known(scan, tmp_path, monkeypatch, told, status):
    def source(found):
        def ask(_):
            if found is None:
                raise scan.UnreachableError("no network")
            return found

        return ask

    for name, found in zip(SOURCES, told, strict=True):
        monkeypatch.setattr(scan, name, source(found))
    document = tmp_path / "image.cdx.json"
    document.write_text(json.dumps({"components": []}))
    assert scan.main(document) == status


def test_a_scanner_that_says_nothing_could_not_be_asked(scan, monkeypatch):
    silent = type("Run", (), {"stdout": "", "stderr": "", "returncode": 1})()
    monkeypatch.setattr(scan, "_run", lambda *_: silent)
    with pytest.raises(scan.UnreachableError, match="pip-audit said nothing"):
        scan.ask_osv([])
