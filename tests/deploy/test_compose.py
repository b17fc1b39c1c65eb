"""The compose files, and what Prometheus and Grafana are given by them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = DEPLOY / "compose"
FILES = DEPLOY / "chart" / "twopass" / "files"
SERVICES = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]


def test_the_files_are_what_compose_takes():
    """dclint holds them to compose's schema, and to habits of its own, of which none is broken."""
    folder = os.environ["TWOPASS_NODE_MODULES"]
    command = [f"{folder}/.bin/dclint", "--max-warnings", "0", str(COMPOSE)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_every_file_that_is_mounted_is_there(service):
    for volume in SERVICES[service]["volumes"]:
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (COMPOSE / source).is_file()
            assert volume.endswith(":ro")


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_to_this_machine_alone(service):
    for port in SERVICES[service]["ports"]:
        assert port.startswith("127.0.0.1:")


def test_the_server_writes_to_its_volume_alone():
    server = SERVICES["twopass"]
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["volumes"] == ["twopass-data:/data"]


def test_grafana_finds_the_dashboard_and_asks_prometheus():
    datasource = yaml.safe_load((COMPOSE / "grafana" / "datasource.yml").read_text())
    (source,) = datasource["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    provider = yaml.safe_load((COMPOSE / "grafana" / "dashboards.yml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{folder}/twopass.json" in mounted
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in mounted


def test_every_panel_asks_the_data_source_that_the_dashboard_lets_one_choose():
    dashboard = json.loads((FILES / "grafana-dashboard.json").read_text())
    (variable,) = dashboard["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == f"${{{variable['name']}}}"
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert [target["refId"] for target in panel["targets"]] == sorted(
            {target["refId"] for target in panel["targets"]}
        )


def promtool(*arguments: str) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: Debian's package prometheus has it")
    checked = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout


@pytest.mark.parametrize(
    ("series", "is_down"),
    [
        ([{"series": 'up{job="twopass"}', "values": "1x5"}], False),
        ([{"series": 'up{job="twopass"}', "values": "0x5"}], True),
        ([{"series": 'up{job="another"}', "values": "1x5"}], True),
    ],
    ids=["up", "silent", "no target"],
)
def test_a_server_that_is_gone_is_told(tmp_path, series, is_down):
    summary = {"summary": "The server's metrics can't be read."}
    told = [{"exp_labels": {"job": "twopass"}, "exp_annotations": summary}] if is_down else []
    asked = {"eval_time": "3m", "alertname": "TwopassDown", "exp_alerts": told}
    case = {"interval": "1m", "input_series": series, "alert_rule_test": [asked]}
    cases = tmp_path / "cases.yml"
    cases.write_text(yaml.safe_dump({"rule_files": [str(FILES / "alerts.yml")], "tests": [case]}))
    promtool("test", "rules", str(cases))


def test_prometheus_takes_its_configuration_and_every_alert(tmp_path):
    alerts = yaml.safe_load((FILES / "alerts.yml").read_text())
    num_alerts = sum(len(group["rules"]) for group in alerts["groups"])
    assert f"SUCCESS: {num_alerts} rules found" in promtool(
        "check", "rules", str(FILES / "alerts.yml")
    )
    config = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())
    assert config["rule_files"] == ["/etc/prometheus/alerts.yml"]
    config["rule_files"] = [str(FILES / "alerts.yml")]
    here = tmp_path / "prometheus.yml"
    here.write_text(yaml.safe_dump(config))
    promtool("check", "config", str(here))
