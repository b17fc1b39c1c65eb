"""Every block of every page does what it says, or says why no test can tell."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from .pages import DATA, Block, blocks, fault, name, pages
from .running import interpreters, run

PAGES = pages()


def sessions() -> list[object]:
    """Each page's sessions, and again with each environment of an integration that blocks name."""
    found = []
    for page in PAGES:
        read = blocks(page)
        names = dict.fromkeys(block.session for block in read if block.is_run)
        for session in names:
            run_here = [block for block in read if block.is_run and block.session == session]
            if all(block.hidden for block in run_here):
                continue
            for environment in dict.fromkeys(["", *(block.environment for block in run_here)]):
                label = "-".join(filter(None, [name(page), session, environment]))
                marks = [] if label == "README.md" else [pytest.mark.slow]
                found.append(pytest.param(page, run_here, environment, id=label, marks=marks))
    return found


def data() -> list[object]:
    return [
        pytest.param(page, block, id=f"{name(page)}:{block.line}")
        for page in PAGES
        for block in blocks(page)
        if block.language in DATA and "not run" not in block.comments
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_says_of_every_block_how_it_is_tried(page):
    wrong = [
        f"{name(page)}:{block.line}: {said}" for block in blocks(page) if (said := fault(block))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("page", "written", "environment"), sessions())
def test_blocks_run_in_order(page: Path, written: list[Block], environment, tmp_path):
    if environment not in interpreters():
        pytest.skip(f"needs the environment {environment}: {maker(page, environment)}")
    tried = [
        block for block in written if block.environment in {"", environment} and not missing(block)
    ]
    failure = run(tried, tmp_path)
    if failure is not None:
        pytest.fail(
            f"{name(page)}:{failure.line}: {failure.wrong}\n{failure.output}", pytrace=False
        )


def maker(page: Path, environment: str) -> str:
    """The command that makes an environment which a page names."""
    if page.parent.name == "how-to":
        return f"make how-to HOW_TO={page.stem}"
    return f"make integrations INTEGRATION={environment}"


def missing(block: Block) -> list[str]:
    """The programs that a block needs and this machine lacks."""
    return [one for one in block.comments.get("needs", "").split() if shutil.which(one) is None]


def needing() -> list[object]:
    return [
        pytest.param(block, id=f"{name(page)}:{block.line}")
        for page in PAGES
        for block in blocks(page)
        if "needs" in block.comments
    ]


@pytest.mark.parametrize("block", needing())
def test_programs_that_blocks_need_are_there(block):
    if lacking := missing(block):
        pytest.skip(f"needs {' and '.join(lacking)}: this block alone was left out")


@pytest.mark.parametrize(("page", "block"), data())
def test_data_is_well_formed(page, block, tmp_path):
    if block.language == "json":
        json.loads(block.code)
    elif block.language == "jsonl":
        for line in block.code.splitlines():
            json.loads(line)
    elif block.language == "yaml":
        assert list(yaml.compose_all(block.code))  # tags of other programs mean nothing here
    else:
        tomllib.loads(block.code)
        if "parsed" not in block.comments:
            assert_is_settings(block, tmp_path)


def assert_is_settings(block: Block, folder: Path) -> None:
    """A server takes it as its configuration.

    TOML of another kind says <!-- parsed: WHAT IT IS -->.
    """
    file = folder / "twopass.toml"
    file.write_text(block.code, "utf-8")
    command = [
        sys.executable,
        "-m",
        "twopass.commands.start",
        "serve",
        "--config",
        str(file),
        "--show-config",
    ]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
