"""What is deployed sets settings that the server has, and installs what it needs."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from twopass.server.config import ServerConfig

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
IMAGE = DEPLOY / "image"
PROJECTS = ("pyproject.toml", "client/pyproject.toml", "models/pyproject.toml")
DRAIN_SECONDS = ServerConfig.model_fields["drain_seconds"].default
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
FRONTS = yaml.safe_load((DEPLOY / "compose" / "compose.fronts.yaml").read_text())
CHART = yaml.safe_load((DEPLOY / "chart" / "twopass" / "values.yaml").read_text())


@pytest.mark.parametrize(
    "file",
    [
        "image/Dockerfile",
        "compose/compose.yaml",
        "compose/compose.keys.yaml",
        "compose/compose.fronts.yaml",
        "chart/twopass/templates/_helpers.tpl",
        "chart/twopass/templates/tests/health.yaml",
    ],
)
def test_its_variables_are_settings(file):
    text = (DEPLOY / file).read_text()
    named = re.findall(r"^\s*(?:- name: )?TWOPASS_([A-Z_]+)(?:=|:\s|\s*$)", text, re.MULTILINE)
    assert named
    assert {name.lower() for name in named} <= set(ServerConfig.model_fields)


@pytest.mark.parametrize("file", sorted((DEPLOY / "chart").glob("values-*.yaml")))
def test_example_values_give_settings_that_the_server_takes(file):
    settings = yaml.safe_load(file.read_text()).get("settings", {})
    assert set(settings) <= set(ServerConfig.model_fields)
    ServerConfig(**settings)


def test_compose_gives_no_setting_of_the_shell_to_the_container():
    """A path that a server of this machine is given means nothing there."""
    variables = COMPOSE["services"]["twopass"]["environment"]
    assert not [value for value in variables.values() if "$" in str(value)]


def test_the_page_names_every_variable_that_compose_reads():
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    page = (ROOT / "docs" / "deploying.md").read_text()
    read = set(re.findall(r"\$\{([A-Z_]+):-", text))
    assert len(read) > 5
    assert not [name for name in read if f"`{name}`" not in page]


def test_prometheus_watches_a_server_that_is_not_healthy_too():
    assert COMPOSE["services"]["prometheus"]["depends_on"] == ["twopass"]


def test_compose_waits_longer_than_the_drain_takes():
    assert int(COMPOSE["services"]["twopass"]["stop_grace_period"].rstrip("s")) > DRAIN_SECONDS


def test_fronts_in_compose_run_as_the_single_server_does_but_for_their_store():
    front, single = FRONTS["services"]["front"], COMPOSE["services"]["twopass"]
    for name in ("image", "stop_grace_period", "cap_drop", "read_only", "security_opt"):
        assert front[name] == single[name]
    assert front["environment"]["TWOPASS_STORE"].startswith("postgresql://twopass@postgres/")
    password = "${POSTGRES_PASSWORD:?set a password for PostgreSQL}"
    assert front["environment"]["PGPASSWORD"] == password
    assert FRONTS["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"] == password
    first, last = (int(port) for port in front["ports"][0].split(":")[1].split("-"))
    assert last - first + 1 == front["deploy"]["replicas"]
    assert front["ports"][0].startswith("127.0.0.1:")


def test_the_chart_drains_for_as_long_as_the_server_does_by_default():
    assert CHART["drainSeconds"] == DRAIN_SECONDS


def test_a_container_has_as_long_to_start_as_a_pod():
    (seconds,) = re.findall(r"--start-period=(\d+)s", (IMAGE / "Dockerfile").read_text())
    assert int(seconds) == CHART["startupSeconds"]


def test_prometheus_scrapes_where_the_image_serves_metrics():
    dockerfile = (IMAGE / "Dockerfile").read_text()
    assert "TWOPASS_METRICS_ADDRESS=0.0.0.0:9090" in dockerfile
    prometheus = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    assert job["job_name"] == "twopass"  # the alert TwopassDown looks for it
    assert job["static_configs"] == [{"targets": ["twopass:9090"]}]


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_the_image_installs_every_package_in_a_version_that_the_project_admits(variant):
    text = (IMAGE / f"requirements-{variant}.txt").read_text()
    locked = {
        canonicalize_name(name): Version(version)
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }
    projects = [tomllib.loads((ROOT / path).read_text())["project"] for path in PROJECTS]
    needed = [Requirement(line) for p in projects for line in p.get("dependencies", ())]
    for requirement in needed:
        name = canonicalize_name(requirement.name)
        if not name.startswith("twopass-"):
            assert locked[name] in requirement.specifier, f"{requirement}: run `make image-lock`"
