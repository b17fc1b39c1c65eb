"""Data that a released version wrote opens in this one, answers as it did, and is written on."""

import json
import tarfile

import pytest

from tests.upgrade import ARCHIVES
from tests.upgrade.contents import answers
from twopass.client import Client, field

from .serving import Server

RELEASED = sorted(ARCHIVES.glob("*.tar.xz"))


@pytest.fixture(params=RELEASED, ids=lambda archive: archive.name.removesuffix(".tar.xz"))
def archive(request):
    return request.param


@pytest.fixture
def data(archive, tmp_path):
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / "data"


def test_there_is_data_of_the_first_release_that_promised_to_be_readable():
    assert "twopass-0.1.0.tar.xz" in {archive.name for archive in RELEASED}


def test_old_data_answers_as_it_did(archive, data):
    said = json.loads(archive.with_name(f"{archive.name.removesuffix('.tar.xz')}.json").read_text())
    for _ in range(2):  # also once this version has written its own files beside the old ones
        with Server(data, gated=False) as server, Client(server.target) as client:
            assert _known_then(answers(client), said) == said


def _known_then(now, then):
    """What is said now, without the settings of a collection that were not known then."""
    for name, collection in now["collections"].items():
        settings = then["collections"][name]["schema"]
        collection["schema"] = {key: collection["schema"][key] for key in settings}
    return now


def test_old_data_is_written_on(data):
    with Server(data, gated=False) as server, Client(server.target) as client:
        client.upsert("current", [{"id": "new", "text": "Otters hold hands while they sleep."}])
        client.delete("articles", filter=field("year").equals(1997))
        client.restore_snapshot("vectors", "before", "restored")
    with Server(data, gated=False) as server, Client(server.target) as client:
        found = client.search("articles", "Which animals sleep hand in hand?", top_n=1)
        assert found.hits[0].id == "new"
        assert client.count("articles") == 8
        assert client.count("restored") == 30
