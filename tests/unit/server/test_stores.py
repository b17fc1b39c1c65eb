"""The URL of a store: checked where it is read, and never told with its password."""

import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.installing import how_to_install
from twopass.index.lanes import Lane, Lanes
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_loading import load_config, to_toml
from twopass.server.store_url import checked_store, has_password, kind_of, without_password
from twopass.server.stores import check_store, open_store

SECRET = "s3cr3t"
LANE = Lane("unused", 1)
parts = st.text("abcXYZ019._-%@:/?#&= ", max_size=12)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://user@host/db", "postgresql"),
        ("postgres://host:5432/db?sslmode=require", "postgresql"),
        ("postgresql:///db?host=/run/postgresql", "postgresql"),
        ("milvus://host:19530", "milvus"),
        ("milvus://user@host:19530/database", "milvus"),
    ],
)
def test_a_url_names_a_kind_of_store(url, kind):
    assert checked_store(url) == url
    assert kind_of(url) == kind
    assert without_password(url) == url


@pytest.mark.parametrize(
    "url",
    ["host", "http://host", "postgresql:host", "milvus://", "milvus://host:port", "mysql://h/d"],
)
def test_what_is_no_url_of_a_store_is_refused(url):
    with pytest.raises(ConfigError, match=f"--store: '{url}' given; postgresql://user@host/data"):
        load_config({"store": url})


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"postgresql://user:{SECRET}@host/db", "postgresql://user:***@host/db"),
        (f"postgresql://user:a@{SECRET}@host/db", "postgresql://user:***@host/db"),
        (f"postgresql://:{SECRET}@host/db", "postgresql://:***@host/db"),
        (f"postgresql://host/db?user=me&password={SECRET}", "…?user=me&password=***"),
        (f"postgresql://host/db?sslPassword={SECRET}&x=1", "…?sslPassword=***&x=1"),
        (f"milvus://host:19530?token=root:{SECRET}", "milvus://host:19530?token=***"),
    ],
)
def test_a_password_is_told_nowhere(url, told):
    assert has_password(url)
    assert without_password(url) == told.replace("…", "postgresql://host/db")


@given(user=parts, password=parts.map(lambda text: SECRET + text), rest=parts)
def test_no_password_before_a_host_is_told_whatever_is_in_it(user, password, rest):
    user = "".join(c for c in user if c not in ":@/?#")
    assert SECRET not in without_password(f"postgresql://{user}:{password}@host/{rest}")


def test_a_password_on_the_command_line_is_refused_and_not_told():
    with pytest.raises(ConfigError) as raised:
        load_config({"store": f"postgresql://user:{SECRET}@host/db"})
    assert SECRET not in str(raised.value)
    assert "TWOPASS_STORE" in str(raised.value)


def test_a_malformed_variable_is_told_without_its_password(monkeypatch):
    monkeypatch.setenv("TWOPASS_STORE", f"mysql://user:{SECRET}@host/db")
    with pytest.raises(ConfigError) as raised:
        load_config({})
    assert "TWOPASS_STORE: 'mysql://user:***@host/db' given" in str(raised.value)


def test_the_settings_are_shown_without_the_password(monkeypatch):
    monkeypatch.setenv("TWOPASS_STORE", f"postgresql://user:{SECRET}@host/db")
    config = load_config({})
    assert SECRET in config.store
    assert 'store = "postgresql://user:***@host/db"' in to_toml(config)
    assert SECRET not in to_toml(config) + repr(config) + str(config)


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("postgresql://host/db", "asyncpg", "postgres"), ("milvus://host", "pymilvus", "milvus")],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(url, package, extra):
    """In a process of its own, whose modules are not those of other tests."""
    script = f"""
import sys
sys.modules[{package!r}] = None
from twopass.server.config import ServerConfig
from twopass.server.stores import open_store
open_store(ServerConfig(store={url!r}), None, None, num_threads=1, current_revision=None)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    said = f"needs the package {package}, which is not installed: {how_to_install(extra)}"
    assert said in ran.stderr


def test_a_url_that_its_store_refuses_is_told_without_its_password():
    config = ServerConfig(store=f"milvus://user:{SECRET}@host?consistency=none")
    with pytest.raises(ConfigError, match="consistency is 'none'") as raised:
        open_store(config, Lanes.for_cpus(1), LANE, num_threads=1, current_revision=lambda *_: "")
    assert SECRET not in str(raised.value)


def test_a_store_of_its_own_searches_on_no_gpu_of_the_server():
    with pytest.raises(ConfigError, match="vector_device: gpu given together with store"):
        check_store(ServerConfig(store="milvus://host:19530", vector_device="gpu"))


def test_with_a_store_the_data_folder_is_neither_made_nor_asked_for(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        check_store(ServerConfig(store="milvus://host:19530", data=tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    check_store(ServerConfig(data=tmp_path / "some"))
    assert (tmp_path / "some").is_dir()
