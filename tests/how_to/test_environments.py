"""Which programs are installed for the how-tos."""

import pytest

from tests import environments as shared

from . import environments
from .environments import REQUIREMENTS, is_for_this_python, link_programs


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("cohere==7.3.1", True),
        ('cohere==7.3.1; python_version >= "3.11"  # why', True),
        ('cohere==7.3.1; python_version < "3.11"', False),
        ("./client", True),
        ("# cohere==7.3.1", False),
        ("", False),
    ],
)
def test_a_line_is_for_some_versions_of_python(line, wanted):
    assert is_for_this_python(line) == wanted


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda file: file.stem)
def test_every_program_is_pinned(file):
    lines = [line for line in file.read_text("utf-8").splitlines() if is_for_this_python(line)]
    assert file.stem == "overrides" or any("==" in line for line in lines) or not lines


def test_a_program_is_that_of_the_environment_named_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "HOMES", tmp_path)
    for home, program in [("dspy", "litellm"), ("litellm", "litellm"), ("litellm", "other")]:
        file = tmp_path / home / "bin" / program
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(home)
    pythons = {home: tmp_path / home / "bin" / "python" for home in ("dspy", "litellm")}
    link_programs(pythons)
    programs = link_programs(pythons)
    assert [(file.name, file.read_text()) for file in programs.iterdir()] == [
        ("litellm", "litellm")
    ]


def test_an_environment_is_made_anew_where_what_it_is_made_of_changed(tmp_path, monkeypatch):
    pins, ran = tmp_path / "pins.txt", []

    def pretend(*command):
        ran.append(command)
        (tmp_path / "home").mkdir(exist_ok=True)

    monkeypatch.setattr(shared, "_run", pretend)

    def makes() -> bool:
        ran.clear()
        shared.prepare(tmp_path / "home", [pins], ("--requirements", pins))
        return bool(ran)

    pins.write_text("cohere==7.3.1")
    assert [makes(), makes()] == [True, False]
    pins.write_text("cohere==7.3.2")
    assert [makes(), makes()] == [True, False]
    monkeypatch.setattr(shared.sys, "version", "another Python")
    assert [makes(), makes()] == [True, False]


def test_one_that_could_not_be_made_is_tried_again(tmp_path, monkeypatch):
    def fail(*_):
        raise shared.InstallError("no network")

    monkeypatch.setattr(shared, "_run", fail)
    for _ in range(2):
        with pytest.raises(shared.InstallError):
            shared.prepare(tmp_path / "home", [], ())


def test_the_sources_of_the_tree_belong_to_what_an_environment_is_made_of():
    names = {file.name for file in environments._sources(REQUIREMENTS / "dspy.txt")}
    assert {"pyproject.toml", "__init__.py"} <= names
