import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.base.engine import EngineChoice
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_errors import misspelt_variables
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
        ("threads", -1, "a whole number from 0 to 1,024 is"),
        ("max_candidates", 0, "a whole number from 1 to 100,000 is"),
        ("max_candidates", 100_001, "a whole number from 1 to 100,000 is"),
        ("drain_seconds", -0.5, "a number of at least 0 is"),
        ("drain_seconds", float("nan"), "a number of at least 0 is"),
        ("max_message_bytes", 1_023, "a whole number of at least 1,024 is"),
        ("log_format", "xml", "one of text, json is"),
        ("max_documents", "many", "a whole number from 1 to 100,000 is"),
        ("max_calls", 0, "a whole number of at least 1 is"),
        ("keepalive_seconds", 0, "a number above 0 is"),
        ("insecure", "perhaps", "true or false is"),
        ("more_models", 3, "a list of texts, such as .*, is"),
    ],
)
def test_what_is_wrong_is_named_with_its_limit_and_value(name, value, limit):
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=rf"^{flag}: {value!r} given; {limit} needed$"):
        load_config({name: value})


def test_a_language_that_is_none_is_told_which_there_are():
    with pytest.raises(ConfigError, match=r"^--language: 'xx' given; one of .*de.*, or none, is"):
        load_config({"language": "xx"})


def test_every_wrong_setting_has_a_line():
    with pytest.raises(ConfigError) as raised:
        load_config({"threads": -1, "max_documents": 0})
    first, second = sorted(str(raised.value).splitlines())
    assert first.startswith("--max-documents: 0")
    assert second.startswith("--threads: -1")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("thread_count = 3", "thread_count: 3 given, but there is no such setting; threads may be"),
        ('max-documents = "3"', "max-documents: '3' given, .*; max_documents may be meant"),
        ('"log_level" = "loud"', "log_level: 'loud' given; one of debug, info, warning, error is"),
        ("[server]\nthreads = 3", "server: .* settings stand at the top of the file, in no table"),
        ("xyz = 1", "xyz: 1 given, but there is no such setting$"),
    ],
)
def test_a_wrong_line_of_the_file_is_named(toml, line, problem):
    file = toml(f"# threads and more\nmax_calls = 9\n\n  {line}\n")
    with pytest.raises(ConfigError, match=f"^{file}, line 4: {problem}"):
        load_config({}, file)


def test_a_wrong_variable_is_named_as_it_is_written(monkeypatch):
    monkeypatch.setenv("TWOPASS_THREADS", "two")
    with pytest.raises(ConfigError, match=r"^TWOPASS_THREADS: 'two' given; a whole number from 0"):
        load_config({})
    monkeypatch.delenv("TWOPASS_THREADS")
    monkeypatch.setenv("twopass_threads", "")
    with pytest.raises(ConfigError, match=r"^twopass_threads: '' given"):
        load_config({})


def test_a_list_that_is_none_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("TWOPASS_MORE_MODELS", "a,b")
    with pytest.raises(
        ConfigError, match=r"^TWOPASS_MORE_MODELS: 'a,b' given; a list of texts, such as \["
    ):
        load_config({})


def test_a_file_that_is_not_there_or_does_not_parse_is_named(toml, tmp_path):
    with pytest.raises(ConfigError, match=r"^--config .*nowhere\.toml: No such file"):
        load_config({}, tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"^--config .*: Is a directory"):
        load_config({}, tmp_path)
    with pytest.raises(ConfigError, match=r"twopass\.toml: it is not TOML: .*line 2"):
        load_config({}, toml("max_calls = 3\nthreads: 3"))


def test_a_file_of_another_encoding_is_named_with_its_line(tmp_path):
    file = tmp_path / "twopass.toml"
    file.write_bytes("threads = 1\n# Größe\n".encode("cp1252"))
    with pytest.raises(ConfigError, match=r"twopass\.toml, line 2: byte 0xf6 is not UTF-8"):
        load_config({}, file)


def test_a_byte_order_mark_and_the_line_ends_of_windows_are_read(tmp_path):
    file = tmp_path / "twopass.toml"
    file.write_bytes(b"\xef\xbb\xbfthreads = 3\r\nmax_calls = 2\r\n")
    config = load_config({}, file)
    assert (config.threads, config.max_calls) == (3, 2)


def test_a_variable_that_is_almost_a_settings_is_told_of_and_others_are_not():
    environment = {
        "TWOPASS_THREDS": "2",
        "TWOPASS_THREADS": "2",
        "TWOPASS_API_KEY": "x",
        "TWOPASS_PORT": "tcp://10.0.0.1:50051",  # as Kubernetes sets for a service of that name
        "TWOPASS_SERVICE_HOST": "10.0.0.1",
        "THREDS": "1",
    }
    assert misspelt_variables(environment) == [
        "TWOPASS_THREDS is no setting and changes nothing; TWOPASS_THREADS is one"
    ]


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
