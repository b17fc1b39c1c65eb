"""asyncpg, which an extra installs: whoever needs it and lacks it is told how to get it."""

from types import ModuleType

from twopass.index.errors import StorageError


def load_driver() -> ModuleType:
    """Imports asyncpg.

    Raises:
        StorageError: It is not installed; names the command that installs it.
    """
    try:
        import asyncpg
    except ImportError as error:
        raise StorageError(
            f"store: PostgreSQL needs asyncpg, which can't be imported ({error}); "
            "pip install 'twopass[postgres]'"
        ) from error
    return asyncpg  # type: ignore[no-any-return]
