"""The site has a place for every page, and moves each there with its links and pictures."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .pages import ROOT


def script(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / f"docs/site/{name}.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


gather, finish = script("gather"), script("finish")


def test_every_page_has_a_place():
    sections = gather.contents()
    pages = [page for section in sections for page in section.pages]
    assert len(set(pages)) == len(pages)
    assert {gather.place(page) for page in pages} >= {"index.md", "commands.md", "changelog.md"}


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(gather, "ROOT", tmp_path / "repository")
    for name, text in {
        "docs/site/style.css": "",
        "docs/a.md": "# A\n",
        "docs/dark.webp": "",
        "docs/light.webp": "",
        "client/README.md": "# The client\n",
        "core/a.h": "",
    }.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "repository"


def moved(repository: Path, text: str) -> str:
    (repository / "client/README.md").write_text(text)
    places = {"docs/a.md": "a.md", "client/README.md": "client.md", "README.md": "index.md"}
    return gather.moved("client/README.md", places, repository.parent / "pages")


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("../docs/a.md#part", "a.md#part"),
        ("#part", "#part"),
        ("https://example.org/x.md", "https://example.org/x.md"),
        ("../core/a.h", "https://github.com/twopass/twopass/blob/main/core/a.h"),
        ("../core", "https://github.com/twopass/twopass/tree/main/core"),
        ("../client", "client.md"),
    ],
)
def test_a_link_leads_where_it_led(repository, link, there):
    assert moved(repository, f"See [it]({link}).") == f"See [it]({there})."


def test_code_keeps_what_looks_like_a_link(repository):
    text = "`[it](../core)`\n\n```md\n[it](../core)\n```\n"
    assert moved(repository, text) == text


def test_comments_stay_behind(repository):
    assert moved(repository, "<!-- setup\ntwopass serve\n-->\n\nText\n") == "\n\nText\n"


def test_a_picture_of_each_palette_comes_along(repository):
    text = (
        '<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="../docs/dark.webp">\n'
        '  <img src="../docs/light.webp" alt="a page">\n</picture>\n'
    )
    assert moved(repository, text) == (
        '<img src="dark.webp#only-dark" alt="a page"> '
        '<img src="light.webp#only-light" alt="a page">\n'
    )
    assert (repository.parent / "pages/light.webp").is_file()


def test_a_page_without_a_place_is_named(repository, monkeypatch):
    monkeypatch.setattr(gather, "HERE", repository)
    (repository / "contents.toml").write_text('[[section]]\ntitle = "A"\npages = []\n')
    with pytest.raises(gather.ContentsError, match=r"no place for docs/a\.md"):
        gather.contents()


def test_a_finished_site_has_no_dead_link_and_asks_nobody_for_anything(tmp_path):
    (tmp_path / "assets/javascripts").mkdir(parents=True)
    (tmp_path / "a.html").write_text(
        '<h1 id="here"></h1><a href="#here"></a><a href="#there"></a><a href="gone.html"></a>'
        '<a href="https://example.org/"></a>'
        '<script src="https://unpkg.com/iframe-worker/shim"></script>'
        '<img src="https://example.org/x.png">'
    )
    finish.bring_shim(tmp_path)
    assert list(finish.faults(tmp_path)) == [
        "a.html: #there: no such heading",
        "a.html: gone.html: no such page or file",
        "a.html: https://example.org/x.png: fetched from another machine",
    ]
