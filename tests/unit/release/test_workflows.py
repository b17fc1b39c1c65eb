"""What workflows of the forge may do, and what they run of other people's."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.release.version import ROOT

OURS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GATE = ROOT / "examples" / "gate" / "search-quality.yml"
FILES = [*OURS, GATE]
TEXTS = {file.stem: file.read_text("utf-8") for file in FILES}
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
# YAML 1.1 reads the key `on` as true.
EVENTS = {name: set(workflow[True]) for name, workflow in WORKFLOWS.items()}


def jobs(workflow: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from WORKFLOWS[workflow]["jobs"].items()


def steps(workflow: str) -> Iterator[dict[str, Any]]:
    for _, job in jobs(workflow):
        yield from job.get("steps", ())


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_actions_are_pinned_by_commit_and_say_their_version(workflow):
    used = re.findall(r"uses: (.*)", TEXTS[workflow])
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_what_a_caller_can_name_is_never_pasted_into_a_script(workflow):
    """A branch, a tag or a user reaches a script by a variable, which the shell does not run."""
    assert not [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_jobs_read_unless_they_say_otherwise_leave_no_token_behind_and_end(workflow):
    assert WORKFLOWS[workflow]["permissions"] == {"contents": "read"}
    for name, job in jobs(workflow):
        assert job["timeout-minutes"] <= 120, name
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", [name for name in WORKFLOWS if "pull_request" in EVENTS[name]])
def test_a_pull_request_writes_nothing_and_sees_no_secret(workflow):
    assert "secrets." not in TEXTS[workflow]
    assert not [name for name, job in jobs(workflow) if "permissions" in job]


def test_only_a_tag_publishes_and_one_workflow_alone():
    publishes = re.compile(r"push: true|helm push|npm publish|gh-action-pypi-publish")
    assert [name for name, text in TEXTS.items() if publishes.search(text)] == ["release"]
    assert set(WORKFLOWS["release"][True]["push"]) == {"tags"}


def test_the_page_on_gates_shows_what_the_example_runs():
    page = (ROOT / "docs" / "how-to" / "gate.md").read_text("utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert shown in GATE.read_text("utf-8")
