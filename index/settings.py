"""A collection's settings: a text that a store keeps for the server, and never reads."""

from twopass.index.errors import InvalidSettingsError

MAX_SETTINGS_BYTES = 65_536
"""Most bytes of a collection's settings in UTF-8."""


def check_settings(settings: str) -> None:
    """Makes sure that every store can keep settings.

    Raises:
        InvalidSettingsError: They are too large, or hold a character that PostgreSQL has none of.
    """
    num_bytes = len(settings.encode())
    if num_bytes > MAX_SETTINGS_BYTES:
        raise InvalidSettingsError(
            "settings",
            f"{num_bytes:,} bytes given, at most {MAX_SETTINGS_BYTES:,} are kept",
            limit=MAX_SETTINGS_BYTES,
            value=num_bytes,
        )
    if "\0" in settings:
        raise InvalidSettingsError("settings", "a character U+0000 in them; leave it out")
