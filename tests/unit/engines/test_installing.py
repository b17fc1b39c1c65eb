import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

from twopass.engines import installing
from twopass.engines.installing import how_to_install, pip_install, typed_here

REQUIRES = [
    "numpy>=1.26",
    'there>=1; extra == "some"',
    'missing>=17; extra == "some"',
    'with-extras[b,a]>=2,<3; extra == "some"',
    'elsewhere>=1; (sys_platform == "elsewhere") and extra == "some"',
    'of-another>=1; extra == "other"',
]
VERSIONS = {"there": "1.5", "with-extras": "1.9", "of-another": "2.0"}


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    def version(name: str) -> str:
        if name not in VERSIONS:
            raise metadata.PackageNotFoundError(name)
        return VERSIONS[name]

    monkeypatch.setattr(metadata, "requires", lambda _: REQUIRES)
    monkeypatch.setattr(metadata, "version", version)


@pytest.fixture
def pip_on_path(monkeypatch):
    pip = str(Path(sys.executable).parent / "pip")
    monkeypatch.setattr(shutil, "which", lambda name: pip if name == "pip" else None)


def test_packages_of_the_extra_that_are_missing_or_too_old_are_named(pip_on_path):
    assert how_to_install("some") == "pip install 'missing>=17' 'with-extras[a,b]<3,>=2'"


def test_where_none_is_missing_all_are_named_since_one_may_be_damaged(pip_on_path):
    assert how_to_install("other") == "pip install 'of-another>=1'"


def test_twopass_itself_is_never_named_since_no_index_has_it(pip_on_path):
    assert "twopass" not in how_to_install("some")


def test_another_environments_pip_is_not_used(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: "/elsewhere/bin/pip")
    python = typed_here(Path(sys.executable))
    assert pip_install("missing") == f"{python} -m pip install missing"


def test_python_is_named_as_it_is_typed_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert pip_install("missing>=17") == ".venv/bin/python -m pip install 'missing>=17'"


def test_a_file_in_the_working_directory_is_typed_with_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert typed_here(tmp_path / "python") == "./python"


def test_an_environment_without_pip_is_filled_by_uv_where_there_is_uv(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/uv" if name == "uv" else None)
    monkeypatch.setattr(installing.importlib.util, "find_spec", lambda _: None)
    python = typed_here(Path(sys.executable))
    assert pip_install("a", "b") == f"uv pip install --python {python} a b"


def test_without_metadata_the_extra_is_named(monkeypatch):
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert "the packages of the extra some" in how_to_install("some")


def test_no_message_advises_what_no_index_has():
    """`pip install 'twopass[extra]'` finds nothing where twopass came from a clone."""
    tree = Path(__file__).parents[3]
    rooms = ("server", "engines", "index", "commands", "evaluation", "training", "benchmarks")
    sources = [file for room in rooms for file in (tree / room).rglob("*.py")]
    assert len(sources) > 100
    told = [file for file in sources if "twopass[" in file.read_text("utf-8")]
    assert told == [tree / "engines" / "installing.py"]  # which says so
