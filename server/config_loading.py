"""Where settings come from: flags, the environment, a TOML file; and back into one."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from twopass.server.config import ConfigError, ServerConfig


def load_config(flags: dict[str, Any], file: Path | None = None) -> ServerConfig:
    """Joins flags, environment and file.

    Args:
        flags: Settings given by flags, by name; they win.
        file: A TOML file, or None.

    Raises:
        ConfigError: A setting is wrong; names the setting, its limit and the value.
    """
    if file is not None and not file.is_file():
        raise ConfigError(f"config file {file}: there is no such file")

    class Config(ServerConfig):
        toml_file = file

    try:
        config = Config(**flags)
    except ValidationError as error:
        lines = (
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}"
            for e in error.errors()
        )
        raise ConfigError("; ".join(lines)) from error
    except SettingsError as error:  # a variable that does not parse; names it
        raise ConfigError(str(error)) from error
    except ValueError as error:  # TOML that does not parse
        raise ConfigError(f"config file {file}: {error}") from error
    return ServerConfig.model_construct(**config.model_dump())


def to_toml(config: ServerConfig) -> str:
    """The settings as a TOML file, each under its explanation."""
    import tomlkit  # for --show-config alone

    document = tomlkit.document()
    for name, value in config.model_dump(mode="json").items():
        document.add(tomlkit.comment(str(ServerConfig.model_fields[name].description)))
        document.add(name, tomlkit.item(value))
        document.add(tomlkit.nl())
    return tomlkit.dumps(document).rstrip() + "\n"
