"""The Helm chart: rendered by Helm's library, read by Kubernetes' schemas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

helm_python = pytest.importorskip("helm_python", reason="`make chart` installs Helm's library")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

CHARTS = Path(__file__).parents[2] / "deploy" / "chart"
CHART = CHARTS / "twopass"
KUBERNETES = ("1.27", "1.30", "1.33")
VALUES = {
    "default": {},
    **{
        file.stem.removeprefix("values-"): yaml.safe_load(file.read_text())
        for file in CHARTS.glob("values-*.yaml")
    },
}
# Of the Prometheus operator, whose schemas are not among Kubernetes'.
CUSTOM_KINDS = {"ServiceMonitor", "PrometheusRule"}


def rendered(values: dict[str, Any], release: str = "my") -> list[dict[str, Any]]:
    """Every object of a release."""
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values, name=release, namespace="search")
    return [
        found
        for path, text in files.items()
        if not path.endswith("NOTES.txt")
        for found in yaml.safe_load_all(text)
        if found
    ]


def the(objects: list[dict[str, Any]], kind: str, name: str = "my-twopass") -> dict[str, Any]:
    (found,) = (o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return found


def pod_of(values: dict[str, Any]) -> dict[str, Any]:
    objects = rendered(values)
    kind = "Deployment" if values.get("stateless") else "StatefulSet"
    spec: dict[str, Any] = the(objects, kind)["spec"]["template"]["spec"]
    return spec


def server_of(values: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(values)["containers"]
    return dict(container)


def environment_of(values: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value") for variable in server_of(values)["env"]}


@pytest.mark.parametrize("name", VALUES)
def test_helm_finds_nothing_wrong_with_it(name):
    found = helm_python.lint(CHART, VALUES[name], strict=True, kube_version="1.33.0")
    assert found["errors"] == []
    worse = [m for m in found["messages"] if m["severity"] > 1]  # 1 is a recommendation: an icon
    assert worse == []


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("name", VALUES)
def test_every_object_is_one_that_kubernetes_takes(name, kubernetes):
    kinds = set()
    for found in rendered(VALUES[name]):
        kinds.add(found["kind"])
        if found["kind"] not in CUSTOM_KINDS:
            kubernetes_validate.validate(found, kubernetes, strict=True)
    assert {"Service", "ServiceAccount", "PodDisruptionBudget"} <= kinds


def test_names_of_the_longest_release_are_short_enough_for_every_kind():
    longest = "r" * 53  # which is what Helm takes
    for values in ({"keys": {"file": "x"}}, {"fullnameOverride": "f" * 63}):
        objects = rendered(values, longest)
        for found in objects:
            assert all(len(label) <= 63 for label in found["metadata"]["labels"].values())
        assert max(len(o["metadata"]["name"]) for o in objects if o["kind"] == "Service") <= 63
        # Pods are labelled with the StatefulSet's name and ten characters of a hash.
        (pods,) = (o["metadata"]["name"] for o in objects if o["kind"] == "StatefulSet")
        assert len(f"{pods}-0123456789") <= 63


@pytest.mark.parametrize("release", ["my", "2026"])
@pytest.mark.parametrize(
    "values",
    [
        {"settings": None},
        {"resources": None},
        {"resources": None, "gpu": {"enabled": True}},
        {"resources": {"limits": None}},
        {"tls": {"existingSecret": "1"}, "keys": {"existingSecret": "2"}},
        {"persistence": {"existingClaim": "3"}, "priorityClassName": "4"},
        {"serviceAccount": {"name": "5"}},
        {"stateless": True, "tls": {"existingSecret": "1", "clientCaSecret": "2"}},
    ],
    ids=str,
)
def test_what_yaml_takes_for_nothing_or_for_a_number_is_rendered_as_it_is_meant(values, release):
    for found in rendered(values, release):
        kubernetes_validate.validate(found, KUBERNETES[-1], strict=True)


def test_a_secret_of_tls_that_is_null_is_no_tls():
    service = the(rendered({"tls": {"existingSecret": None}}), "Service")
    protocols = [port["appProtocol"] for port in service["spec"]["ports"]]
    assert protocols == ["kubernetes.io/h2c", "http"]


def test_helms_test_reaches_the_port_of_the_metrics_through_the_network_policy():
    objects = rendered(VALUES["production"] | {"imagePullSecrets": [{"name": "registry"}]})
    test = the(objects, "Pod", "my-twopass-test-health")
    _, metrics = the(objects, "NetworkPolicy")["spec"]["ingress"]
    assert metrics["ports"] == [{"port": "metrics"}]
    assert {"podSelector": {"matchLabels": test["metadata"]["labels"]}} in metrics["from"]
    assert test["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    # Nor is it one of the pods that the services lead to.
    selector = the(objects, "Service")["spec"]["selector"]
    assert not selector.items() <= test["metadata"]["labels"].items()


def test_without_tls_health_is_asked_by_grpc():
    server = server_of({})
    for probe in ("startupProbe", "readinessProbe"):
        assert server[probe]["grpc"] == {"port": 50051}
    assert server["livenessProbe"]["httpGet"] == {"path": "/v1/health/live", "port": "http"}


def test_with_tls_health_is_asked_by_https():
    server = server_of({"tls": {"existingSecret": "cert"}})
    asked = {"path": "/health", "port": "http", "scheme": "HTTPS"}
    assert server["startupProbe"]["httpGet"] == server["readinessProbe"]["httpGet"] == asked
    assert server["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"


@pytest.mark.parametrize(
    "values",
    [
        {"tls": {"existingSecret": "cert", "clientCaSecret": "ca"}},
        {"settings": {"open_health": False}},
    ],
    ids=["certificates", "keys"],
)
def test_where_health_is_not_open_it_is_asked_on_the_port_of_the_metrics(values):
    server = server_of(values)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"] == {"path": "/health", "port": "metrics"}


def test_a_pod_has_the_time_to_drain():
    for drain, pause in ((30, 5), (0, 0), (300, 20)):
        pod = pod_of({"drainSeconds": drain, "preStopSeconds": pause})
        assert pod["terminationGracePeriodSeconds"] > drain + pause
    noticed = {"settings": {"drain_notice_seconds": 7.5}}
    assert pod_of(noticed)["terminationGracePeriodSeconds"] == 5 + 8 + 30 + 10
    (server,) = pod["containers"]
    assert server["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "20"]
    assert environment_of({"drainSeconds": 300})["TWOPASS_DRAIN_SECONDS"] == "300"


@pytest.mark.parametrize("name", VALUES)
def test_pods_keep_to_the_restricted_standard_and_write_to_volumes_alone(name):
    objects = rendered(VALUES[name])
    pods = [pod_of(VALUES[name]), the(objects, "Pod", "my-twopass-test-health")["spec"]]
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    mounts = {mount["mountPath"] for mount in server_of(VALUES[name])["volumeMounts"]}
    assert {"/data", "/tmp"} <= mounts


def test_variables_that_kubernetes_adds_for_services_are_not_taken_for_settings():
    assert pod_of({})["enableServiceLinks"] is False


def test_settings_are_variables_as_the_server_reads_them():
    settings = {
        "reranker": "twopass-minilm-l6",
        "threads": 4,
        "max_bytes": 1073741824,
        "fusion_alpha": 0.85,
        "open_reflection": True,
        "more_models": ["a", "b/c"],
    }
    environment = environment_of({"settings": settings})
    assert environment["TWOPASS_RERANKER"] == "twopass-minilm-l6"
    assert environment["TWOPASS_THREADS"] == "4"
    assert environment["TWOPASS_MAX_BYTES"] == "1073741824"
    assert environment["TWOPASS_FUSION_ALPHA"] == "0.85"
    assert environment["TWOPASS_OPEN_REFLECTION"] == "true"
    assert json.loads(environment["TWOPASS_MORE_MODELS"]) == ["a", "b/c"]


def test_collections_are_kept_when_the_release_is_deleted():
    spec = the(rendered({}), "StatefulSet")["spec"]
    assert spec["replicas"] == 1
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "20Gi"}


def test_a_claim_that_exists_is_taken_in_place_of_a_new_one():
    spec = the(rendered({"persistence": {"existingClaim": "old"}}), "StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in spec
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "old"}


def test_without_persistence_nothing_is_claimed():
    spec = the(rendered({"persistence": {"enabled": False}}), "StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in spec
    assert {"name": "data", "emptyDir": {}} in spec["template"]["spec"]["volumes"]


def test_keys_come_from_a_file_or_from_a_secret():
    text = '[[keys]]\nname = "web"\nsha256 = "00"\n'
    objects = rendered({"keys": {"file": text}})
    secret = the(objects, "Secret", "my-twopass-keys")
    assert set(secret["data"]) == {"keys.toml"}
    assert environment_of({"keys": {"file": text}})["TWOPASS_KEYS"] == "/etc/twopass/keys/keys.toml"
    pod = pod_of({"keys": {"existingSecret": "mine", "file": text}})
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["keys"]["secret"]["secretName"] == "mine"
    kinds = [found["kind"] for found in rendered({"keys": {"existingSecret": "mine"}})]
    assert "Secret" not in kinds


def test_a_gpu_takes_the_image_made_for_it_and_a_node_that_has_one():
    pod = pod_of(VALUES["gpu"])
    (server,) = pod["containers"]
    assert server["image"].endswith("-cuda")
    assert server["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert server["resources"]["limits"]["memory"] == "16Gi"
    tolerated = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert tolerated in pod["tolerations"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}


def test_engines_are_asked_for_their_life_where_they_answer_over_http():
    engine = server_of(VALUES["engine"])
    assert engine["livenessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
    assert engine["readinessProbe"]["grpc"] == {"port": 50051}
    over_tls = server_of({**VALUES["engine"], "tls": {"existingSecret": "of-tls"}})
    assert over_tls["readinessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
    assert environment_of(VALUES["engine"])["TWOPASS_ROLE"] == "engine"


def test_a_stateless_release_takes_replicas_or_is_scaled():
    three = the(rendered({"stateless": True, "replicas": 3}), "Deployment")["spec"]
    assert three["replicas"] == 3
    scaled = rendered(VALUES["rerank"])
    assert "replicas" not in the(scaled, "Deployment")["spec"]
    assert the(scaled, "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 8


def test_an_update_of_servers_without_collections_adds_a_pod_before_it_takes_one():
    objects = rendered(VALUES["fronts"])
    strategy = the(objects, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}
    assert the(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert the(objects, "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 3
    assert not [found for found in objects if found["kind"] == "StatefulSet"]


def test_clients_of_grpc_find_every_pod_and_ask_it_for_its_health_themselves():
    service = the(rendered(VALUES["fronts"]), "Service", "my-twopass-headless")["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    assert {"name": "grpc", "port": 50051, "targetPort": "grpc"} in service["ports"]


def test_fronts_take_the_password_of_their_store_from_a_secret():
    (password,) = (x for x in server_of(VALUES["fronts"])["env"] if x["name"] == "PGPASSWORD")
    assert set(password["valueFrom"]) == {"secretKeyRef"}
    assert ":" not in environment_of(VALUES["fronts"])["TWOPASS_STORE"].partition("//")[2]


def test_an_ingress_with_tls_lets_the_page_behind_it_ask():
    values = {"ingress": {"enabled": True, "hosts": ["search.example"], "tlsSecret": "web"}}
    origins = environment_of(values)["TWOPASS_HTTP_CORS_ORIGINS"]
    assert json.loads(origins) == ["https://search.example"]
    for found in rendered(values):
        kubernetes_validate.validate(found, KUBERNETES[-1], strict=True)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"replicas": 2}, "/replicas"),
        ({"autoscaling": {"enabled": True}}, "/autoscaling/enabled"),
        ({"tls": {"clientCaSecret": "ca"}}, "/tls/existingSecret"),
        ({"ingress": {"enabled": True}}, "/ingress/hosts"),
        ({"settings": {"http_address": "x"}}, "http_address"),
        ({"settings": {"Reranker": "x"}}, "Reranker"),
        ({"persistence": {"accessModes": ["ReadWriteMany"]}}, "accessModes"),
        ({"replica": 1}, "replica"),
        ({"tls": None}, "missing property 'tls'"),
        ({"fullnameOverride": "My.Search"}, "/fullnameOverride"),
    ],
    ids=str,
)
def test_values_that_would_not_do_are_refused_by_their_names(values, told):
    with pytest.raises(helm_python.HelmValuesError, match=told), helm_python.Chart.load(CHART) as c:
        c.validate_schema(values)


def test_the_metrics_are_scraped_under_the_name_that_the_alerts_look_for():
    objects = rendered(VALUES["production"])
    monitor = the(objects, "ServiceMonitor")["spec"]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "twopass"}]
    service = the(objects, "Service", "my-twopass-headless")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_alerts_and_dashboard_are_those_of_the_files():
    objects = rendered(VALUES["production"])
    alerts = yaml.safe_load((CHART / "files" / "alerts.yml").read_text())
    assert the(objects, "PrometheusRule")["spec"] == alerts
    dashboard = the(objects, "ConfigMap", "my-twopass-dashboard")["data"]["twopass.json"]
    assert json.loads(dashboard) == json.loads(
        (CHART / "files" / "grafana-dashboard.json").read_text()
    )


def paths(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value:
            yield from paths(value, f"{path}.")
        else:
            yield path


def test_the_readme_has_every_value_and_no_other():
    lines = (CHART / "README.md").read_text().splitlines()
    told = {line.split("`")[1] for line in lines if line.startswith("| `")}
    assert told == set(paths(yaml.safe_load((CHART / "values.yaml").read_text())))
