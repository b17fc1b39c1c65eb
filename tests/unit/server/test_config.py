import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.base import EngineChoice
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_loading import load_config, to_toml
from twopass.server.telemetry.logs import LogFormat, LogLevel


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ServerConfig.model_fields:
        monkeypatch.delenv(f"TWOPASS_{name.upper()}", raising=False)


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "twopass.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_without_anything_the_defaults_hold():
    config = load_config({})
    assert config.address == "127.0.0.1:50051"
    assert config.max_candidates == 10_000
    assert config.data == Path("twopass-data")


def test_flags_win_over_the_environment_that_over_the_file_that_over_defaults(toml, monkeypatch):
    file = toml('threads = 1\nmax_documents = 1\nmax_candidates = 1\nlog_level = "error"\n')
    monkeypatch.setenv("TWOPASS_THREADS", "2")
    monkeypatch.setenv("TWOPASS_MAX_DOCUMENTS", "2")
    config = load_config({"threads": 3}, file)
    assert (config.threads, config.max_documents, config.max_candidates) == (3, 2, 1)
    assert config.log_level is LogLevel.ERROR
    assert config.max_queued_pairs == ServerConfig.model_fields["max_queued_pairs"].default


def test_one_configuration_leaves_the_next_alone(toml):
    load_config({}, toml("threads = 7\n"))
    assert load_config({}).threads == 0


def test_a_list_comes_from_every_source(toml, monkeypatch):
    assert load_config({}, toml('more_models = ["a", "b"]\n')).more_models == ("a", "b")
    monkeypatch.setenv("TWOPASS_MORE_MODELS", '["c"]')
    assert load_config({}).more_models == ("c",)
    assert load_config({"more_models": ["d"]}).more_models == ("d",)


def test_a_configuration_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load_config({}).threads = 3


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("threads", -1, "greater than or equal to 0"),
        ("max_candidates", 0, "greater than or equal to 1"),
        ("max_candidates", 100_001, "less than or equal to 100000"),
        ("drain_seconds", -0.5, "greater than or equal to 0"),
        ("drain_seconds", float("nan"), "greater than or equal to 0"),
        ("max_message_bytes", 1_023, "greater than or equal to 1024"),
        ("log_format", "xml", "'text' or 'json'"),
        ("max_documents", "many", "valid integer"),
        ("max_calls", 0, "greater than or equal to 1"),
        ("keepalive_seconds", 0, "greater than 0"),
        ("insecure", "perhaps", "valid boolean"),
        ("tls", "yes", "not permitted"),
    ],
)
def test_what_is_wrong_is_named_with_its_limit_and_value(name, value, limit):
    with pytest.raises(ConfigError, match=rf"^{name}: .*{limit}.*, got {value!r}$"):
        load_config({name: value})


def test_every_wrong_setting_is_named():
    with pytest.raises(ConfigError) as raised:
        load_config({"threads": -1, "max_documents": 0})
    assert "threads: " in str(raised.value)
    assert "max_documents: " in str(raised.value)


def test_a_wrong_variable_and_a_wrong_line_are_named(toml, monkeypatch):
    with pytest.raises(ConfigError, match=r"^thread_count: .*got 3$"):
        load_config({}, toml("thread_count = 3\n"))
    monkeypatch.setenv("TWOPASS_THREADS", "two")
    with pytest.raises(ConfigError, match=r"^threads: .*got 'two'$"):
        load_config({})


def test_a_list_that_is_none_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("TWOPASS_MORE_MODELS", "a,b")
    with pytest.raises(ConfigError, match="more_models") as raised:
        load_config({})
    assert "file" not in str(raised.value)  # there is none


def test_a_file_that_is_not_there_or_does_not_parse_is_named(toml, tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml: there is no such file"):
        load_config({}, tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"twopass\.toml: .*line 1"):
        load_config({}, toml("threads: 3"))


# Whatever a path may hold; a TOML file can't hold lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "data": texts.map(Path),
            "encoder": texts,
            "more_models": st.lists(texts, max_size=3).map(tuple),
            "engine": st.sampled_from(EngineChoice),
            "threads": st.integers(0, 1024),
            "insecure": st.booleans(),
            "drain_seconds": st.floats(0),
            "log_format": st.sampled_from(LogFormat),
        },
    )
)
def test_what_is_printed_is_read_back_as_it_was(tmp_path_factory, settings):
    config = load_config(settings)
    file = tmp_path_factory.getbasetemp() / "printed.toml"
    file.write_text(to_toml(config), encoding="utf-8", newline="")
    assert load_config({}, file) == config


def test_every_setting_is_printed_under_its_explanation():
    printed = to_toml(load_config({}))
    assert tomllib.loads(printed).keys() == ServerConfig.model_fields.keys()
    for name, field in ServerConfig.model_fields.items():
        assert field.description
        assert f"# {field.description}\n{name} = " in printed
