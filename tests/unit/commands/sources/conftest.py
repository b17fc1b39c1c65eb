"""Files that are read in tests."""

import pytest

from twopass.commands.sources.finding import find_files
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import Record


class Folder:
    """A folder for files, and what reading them gives."""

    def __init__(self, path):
        self.path = path

    def write(self, name, content):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def items(self, *names, **reading):
        """Records and what is left out, of files by name; of the folder without names."""
        paths = [self.path / name for name in names] or [self.path]
        found = find_files(paths, Reading(**reading))
        return found.left_out + [item for file in found.files for item in file.records()]

    def read(self, *names, **reading):
        """The fields of all records, where nothing is left out."""
        items = self.items(*names, **reading)
        assert all(isinstance(item, Record) for item in items), [str(item) for item in items]
        return [dict(item.fields) for item in items]

    def both(self, *names, **reading):
        """The fields of all records, and without the folder's path what is left out."""
        items = self.items(*names, **reading)
        return (
            [dict(item.fields) for item in items if isinstance(item, Record)],
            [
                str(item).replace(f"{self.path}/", "")
                for item in items
                if not isinstance(item, Record)
            ],
        )


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    return Folder(path)
