"""Adds a key to a file of keys, of which nothing else changes and nothing is ever lost.

The new file takes the old one's place in one step, after it is on disk: a crash leaves the one or
the other, and a server that reads meanwhile never finds half a file. Where that can't be, the end
is written in place: in a folder that this user may not write, over a file that a container mounts,
for a file with several links or another owner, who would no longer have it.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twopass.server.edge.keys import ApiKey, KeysError, ScoreSharing, read_keys

_BYTE_ORDER_MARK = "\ufeff"
# Nothing can be put in its place: no permission, another owner, a mount.
_NOT_REPLACEABLE = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS, errno.EXDEV)


class KeyExistsError(KeysError):
    """The file has a key of that name."""


def add_key(file: Path, key: ApiKey) -> None:
    """Adds a key; comments, line ends, owner, permissions and links of the file stay.

    Args:
        file: The file; made, for this user alone, where it is missing.
        key: The key. Hashes are not secret, but who may use which collection is private.

    Raises:
        KeyExistsError: The file has a key of that name.
        KeysError: The file can't be read, or is wrong.
        OSError: The file can't be written.
    """
    place = Path(os.path.realpath(file))
    with _locked(place.parent):
        known = read_keys(file) if place.exists() else ()
        if key.name in {other.name for other in known}:
            raise KeyExistsError(f"name: {file} has a key {key.name!r} already")
        before = place.read_bytes().decode() if place.exists() else ""
        after = _with_key(before, key)
        if _keys_of(after) != (*known, key):
            raise KeysError(f"keys {file}: it has a form that no key can be added to by itself")
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        if place.exists() and place.stat().st_nlink > 1:
            _write_in_place(place, after.encode())
            return
        try:
            _replace(place, after.encode())
        except OSError as error:
            if error.errno not in _NOT_REPLACEABLE or not place.exists():
                raise
            _write_in_place(place, after.encode())


def _with_key(text: str, key: ApiKey) -> str:
    """A file's text with a key more, in the form of the others: a table, or one in brackets."""
    import tomlkit  # only here: other commands start without it
    from tomlkit.items import Array

    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    body = text.removeprefix(mark)
    # TOML Kit would append to the last line where it has no line end.
    document = tomlkit.parse(body if not body or body.endswith("\n") else body + "\n")
    keys = document.setdefault("keys", tomlkit.aot())
    table = tomlkit.inline_table() if isinstance(keys, Array) else tomlkit.table()
    fields = key.model_dump(mode="json")
    if key.score_cache is ScoreSharing.SHARED:
        del fields["score_cache"]  # servers before it refuse a file that has the field
    table.update(fields)
    keys.append(table)
    made = tomlkit.dumps(document)
    if "\r\n" in body and "\n" not in body.replace("\r\n", ""):
        made = made.replace("\r\n", "\n").replace("\n", "\r\n")
    return mark + made


def _keys_of(text: str) -> tuple[ApiKey, ...]:
    content = tomllib.loads(text.removeprefix(_BYTE_ORDER_MARK))
    return tuple(ApiKey(**each) for each in content["keys"])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other runs of this command from the files of a folder for as long as the block lasts.

    The folder is locked, since the file does not stay the same one.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(file: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as made:
            made.write(content)
            made.flush()
            os.fsync(made.fileno())
        if file.exists():
            shutil.copystat(file, name)  # permissions, and access lists where there are some
            old, new = file.stat(), Path(name).stat()
            if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
                os.chown(name, old.st_uid, old.st_gid)
            os.utime(name)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_in_place(file: Path, content: bytes) -> None:
    """Writes from the first byte that differs: what is before it stays as it is, come what may."""
    with file.open("r+b") as opened:
        before = opened.read()
        both = zip(before, content, strict=False)
        equal = min(len(before), len(content))
        start = next((n for n, (old, new) in enumerate(both) if old != new), equal)
        opened.seek(start)
        opened.write(content[start:])
        opened.truncate()
        opened.flush()
        os.fsync(opened.fileno())
