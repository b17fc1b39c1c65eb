"""The image that `make image` has built: no network, a read-only root, a user without rights."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .chroot import Container, Image

DOCUMENTS = [
    {"id": "sky", "text": "Rayleigh scattering of sunlight makes the sky blue."},
    {"id": "capitals", "text": "Canberra is the capital city of Australia.", "year": 1913},
]
USER = 10001
NAME = os.environ.get("TWOPASS_IMAGE", "")
pytestmark = [
    pytest.mark.skipif(not NAME, reason="TWOPASS_IMAGE names no image: `make image` builds one"),
    pytest.mark.skipif(
        shutil.which("buildah") is None or os.geteuid() != 0,
        reason="buildah, and root, which namespaces need, are not both there",
    ),
]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with Image(NAME) as mounted:
        yield mounted


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A volume as an engine makes it of the image's /data: its user's own."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, USER, USER)
    tmp_path.chmod(0o755)
    return folder


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    os.chown(folder / name, USER, USER)


def found_by(server: Container, *words: str) -> list[str]:
    told = server.run("twopass", "search", *words, "--json")
    assert told.returncode == 0, told.stderr
    return [hit["id"] for hit in json.loads(told.stdout)["hits"]]


def test_its_user_can_write_to_the_volume_and_to_tmp_alone(image, data):
    server = Container(image, data)
    server.wait_until_healthy()
    probe = 'id -u; for f in / /opt/twopass /etc /tmp /data; do touch "$f/x" && echo "$f"; done'
    assert server.run("sh", "-c", probe).stdout.split() == [str(USER), "/tmp", "/data"]
    status = server.run("cat", "/proc/1/status").stdout
    assert re.search(rf"Uid:\s+{USER}\s+{USER}", status)
    assert set(re.findall(r"Cap(?:Prm|Eff|Bnd):\s+(\w+)", status)) == {"0" * 16}
    assert server.stop()[0] == 0


def test_documents_are_indexed_and_found_and_are_there_after_a_restart(image, data):
    write(data, "docs.jsonl", "\n".join(map(json.dumps, DOCUMENTS)))
    server = Container(image, data)
    server.wait_until_healthy()
    indexed = server.run("twopass", "index", "docs", "/data/docs.jsonl")
    assert indexed.returncode == 0, indexed.stderr
    assert found_by(server, "docs", "Why is the sky blue?")[0] == "sky"
    code, log = server.stop()
    assert code == 0
    assert "draining" in log
    assert log.rstrip().endswith("stopped")

    again = Container(image, data)
    again.wait_until_healthy()
    assert found_by(again, "docs", "capital city", "--filter", "year<1950")[0] == "capitals"
    assert again.stop()[0] == 0


def test_the_health_check_passes_while_certificates_and_keys_are_asked_for(image, data):
    key, certificate = data / "tls.key", data / "tls.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    made, _ = Container(image, data, "keys", "web", "--file", "/data/keys.toml").output()
    assert made == 0
    for file in (key, certificate):
        os.chown(file, USER, USER)
    server = Container(
        image,
        data,
        environment={
            "TWOPASS_INSECURE": "false",
            "TWOPASS_TLS_CERTIFICATE": "/data/tls.crt",
            "TWOPASS_TLS_KEY": "/data/tls.key",
            "TWOPASS_TLS_CLIENT_CA": "/data/tls.crt",
            "TWOPASS_KEYS": "/data/keys.toml",
        },
    )
    server.wait_until_healthy()
    refused = server.run("twopass", "info")
    assert refused.returncode != 0
    assert server.stop()[0] == 0


def test_the_health_check_fails_before_the_server_serves(image, data):
    idle = Container(image, data, "--help")
    assert idle.output()[0] == 0
    server = Container(image, data)
    assert not server.healthy()
    server.wait_until_healthy()
    assert server.stop()[0] == 0


def test_the_demo_shows_both_passes_without_a_network(image, data):
    code, told = Container(image, data, "demo", "--no-stay").output()
    assert code == 0, told
    assert "first pass" in told
    print(told)


def test_it_says_what_it_is(image):
    labels = image.config["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels[f"{prefix}version"])
    assert re.fullmatch(r"[0-9a-f]{40}", labels[f"{prefix}revision"])
    assert set(image.config["ExposedPorts"]) == {"50051/tcp", "8080/tcp", "9090/tcp"}
    assert list(image.config["Volumes"]) == ["/data"]
    assert image.config["User"] == f"{USER}:{USER}"
    assert image.config["StopSignal"] == "SIGTERM"


def test_it_has_the_models_and_no_compiler(image):
    packages = next((image.root / "opt/twopass/lib").glob("python3*/site-packages"))
    models = {file.parent.name for file in packages.glob("twopass/models/*/twopass.json")}
    assert models >= {"all-MiniLM-L6-v2", "twopass-minilm-l3", "twopass-minilm-l6"}
    for tool in ("usr/bin/g++", "usr/bin/cmake", "opt/twopass/bin/pip", "usr/bin/pip"):
        assert not (image.root / tool).exists()


def test_its_environment_names_settings_that_the_server_has(image):
    shown = subprocess.run(
        ["chroot", str(image.root), "/opt/twopass/bin/twopass", "serve", "--show-config"],
        env=image.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    settings = {line.split(" = ")[0] for line in shown.splitlines() if " = " in line}
    named = {name for name in image.environment if name.startswith("TWOPASS_")}
    assert {name.removeprefix("TWOPASS_").lower() for name in named} <= settings
