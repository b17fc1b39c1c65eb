"""Where settings come from: flags, the environment, a TOML file; and back into one."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_errors import Origins, sentences, unreadable_variable
from twopass.server.store_url import has_password, without_password

# How pydantic-settings tells which variable it could not read.
_FIELD = re.compile(r'field "(\w+)"')


def load_config(flags: dict[str, Any], file: Path | None = None) -> ServerConfig:
    """Joins flags, environment and file.

    Args:
        flags: Settings given by flags, by name; they win.
        file: A TOML file, or None.

    Raises:
        ConfigError: A setting is wrong; names where it stands, its limits and the value.
    """
    text = _read(file) if file is not None else ""
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: it is not TOML: {error}") from error

    if has_password(str(flags.get("store", ""))):
        raise ConfigError(
            f"--store {without_password(flags['store'])}: everyone on this machine sees a password "
            "on the command line; give the URL by TWOPASS_STORE or in the file of --config, "
            "or the password alone by PGPASSWORD, a passfile or MILVUS_TOKEN"
        )

    class Config(ServerConfig):
        file_settings = settings

    try:
        config = Config(**flags)
    except ValidationError as error:
        raise ConfigError(sentences(error, Origins(flags, file, text))) from error
    except SettingsError as error:  # a variable that is no JSON, though its setting is a list
        named = _FIELD.search(str(error))
        raise ConfigError(unreadable_variable(named[1]) if named else str(error)) from error
    return ServerConfig.model_construct(**config.model_dump())


def _read(file: Path) -> str:
    """The text of a configuration file, without the mark that editors may put before it.

    Raises:
        ConfigError: It can't be read.
    """
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"--config {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}, line {line}: byte {error.object[error.start]:#04x} is not UTF-8; TOML files "
            "are, so save it as UTF-8"
        ) from error


def to_toml(config: ServerConfig) -> str:
    """The settings as a TOML file, each under its explanation; passwords are left out."""
    import tomlkit  # for --show-config alone

    document = tomlkit.document()
    settings = config.model_dump(mode="json")
    settings["store"] = without_password(settings["store"])
    for name, value in settings.items():
        document.add(tomlkit.comment(str(ServerConfig.model_fields[name].description)))
        document.add(name, tomlkit.item(value))
        document.add(tomlkit.nl())
    return tomlkit.dumps(document).rstrip() + "\n"
