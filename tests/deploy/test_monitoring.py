"""Prometheus itself, with the configuration of the compose file, scrapes a server that works."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = DEPLOY / "chart" / "twopass" / "files"
PYTHON = os.environ.get("TWOPASS_PYTHON", "")
SECONDS = 120
pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="`make test-monitoring` names the server's Python"),
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="Debian's package prometheus is not installed"
    ),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"not within {SECONDS} seconds"
        time.sleep(0.5)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def twopass(*arguments: str) -> list[str]:
    return [PYTHON, "-m", "twopass.commands.main", *arguments]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory) -> Iterator[str]:
    """The metrics' address of a server that has indexed and searched."""
    folder = tmp_path_factory.mktemp("server")
    address, target = (f"127.0.0.1:{free_port()}" for _ in range(2))
    flags = ("--data", str(folder / "data"), "--address", target, "--metrics-address", address)
    flags += ("--shadow", "first=blend:1,share:1")
    with subprocess.Popen(twopass("serve", *flags)) as server:
        try:
            wait_for(lambda: answers(f"http://{address}/health"))
            (folder / "docs.jsonl").write_text('{"id": "a", "text": "the sky is blue"}\n')
            environment = os.environ | {"TWOPASS_TARGET": target}
            for call in (
                ("index", "docs", str(folder / "docs.jsonl")),
                ("search", "docs", "Which colour has the sky?", "--query-id", "q", "--spans"),
                ("search", "docs", "Which colour has the sky?", "--collapse", "0.95"),
                ("feedback", "record", "docs", "--query-id", "q", "--document", "a"),
            ):
                subprocess.run(twopass(*call), env=environment, check=True, capture_output=True)
            yield address
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def prometheus(metrics, tmp_path_factory) -> Iterator[Callable[..., Any]]:
    """Asks Prometheus' own API, once it has scraped the server twice."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    config["rule_files"] = [str(FILES / "alerts.yml")]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [metrics]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
    ]

    def ask(path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{address}/api/v1/{path}?{query}") as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    with subprocess.Popen(command) as started:
        try:
            wait_for(lambda: answers(f"http://{address}/-/ready"))
            twice = 'count_over_time(up{job="twopass"}[1m]) >= 3'
            wait_for(lambda: bool(ask("query", query=twice)["result"]))
            yield ask
        finally:
            started.terminate()


def expressions() -> Iterator[Any]:
    dashboard = json.loads((FILES / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")


def test_the_server_is_a_target_that_is_up(prometheus):
    (target,) = prometheus("targets")["activeTargets"]
    assert (target["health"], target["labels"]["job"]) == ("up", "twopass")


@pytest.mark.parametrize("expression", [*expressions()])
def test_prometheus_answers_what_a_panel_asks(prometheus, expression):
    # Grafana puts an interval in its place; the shortest that has two scrapes in it does here.
    prometheus("query", query=expression.replace("$__rate_interval", "1m"))


def test_the_panels_show_something_once_the_server_has_worked(prometheus):
    shown = [
        bool(prometheus("query", query=param.values[0].replace("$__rate_interval", "1m"))["result"])
        for param in expressions()
    ]
    assert sum(shown) >= 0.8 * len(shown)


def test_every_alert_is_evaluated_and_none_fires_at_a_server_that_is_well(prometheus):
    def rules() -> list[dict[str, Any]]:
        (group,) = prometheus("rules")["groups"]
        found: list[dict[str, Any]] = group["rules"]
        return found

    wait_for(lambda: all(rule["health"] == "ok" for rule in rules()))
    alerts = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"][0]["rules"]
    assert [rule["name"] for rule in rules()] == [alert["alert"] for alert in alerts]
    assert {rule["state"] for rule in rules()} == {"inactive"}
