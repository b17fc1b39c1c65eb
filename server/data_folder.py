"""The data folder, looked at before anything is loaded."""

import os
from pathlib import Path

from twopass.server.config import ConfigError


def ensure_writable(folder: Path) -> None:
    """Makes the data folder if it is missing, and finds out whether the server may write there.

    Raises:
        ConfigError: It can't be made, is no folder, or can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(f"--data {folder}: it is a file; give a folder") from None
    except OSError as error:
        raise ConfigError(
            f"--data {folder}: the folder can't be made ({error.strerror}); give one that can"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"--data {folder}: this user may not write there; give another folder, or its owner's "
            "permission"
        )
