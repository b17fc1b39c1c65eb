"""The file of `--resume`: how far a run of `twopass index` has come, for the next run to go on."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from twopass.commands.sources.records import LeftOut
from twopass.commands.sources.source_file import SourceFile
from twopass.commands.transfer.field_mapping import FieldMapping


class CheckpointError(Exception):
    """The file is not a checkpoint, or belongs to another run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """How far earlier runs have come.

    Attributes:
        num_done: How many of the first documents are on the server's disk, or were refused by it.
        refused: Those that were refused.
    """

    num_done: int = 0
    refused: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint file of one run.

    Attributes:
        path: Where the file is.
        run: What identifies the run; a file that belongs to another run is refused.
    """

    path: Path
    run: dict[str, object]

    @classmethod
    def of(
        cls,
        path: Path,
        collection: str,
        created: datetime,
        files: Iterable[SourceFile],
        mapping: FieldMapping,
    ) -> "Checkpoint":
        """The checkpoint of a run that indexes files, as they are now, into a collection."""
        sources = [[str(file.path.resolve()), file.num_bytes, file.modified_ns] for file in files]
        run: dict[str, object] = {
            "collection": collection,
            "created": created.isoformat(),
            "files": sources,
            "mapping": json.loads(json.dumps(asdict(mapping))),
        }
        return cls(path, run)

    def done(self) -> Done:
        """What earlier runs have done; nothing without a file.

        Raises:
            CheckpointError: The file is not a checkpoint, or belongs to another run.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            run, num_done = content["run"], int(content["num_done"])
            refused = tuple(LeftOut(**item) for item in content["refused"])
        except FileNotFoundError:
            return Done()
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.path}: not a file of --resume; name another") from error
        except OSError as error:
            raise CheckpointError(f"{self.path}: can't be read ({error.strerror})") from error
        different = [name for name, value in self.run.items() if run.get(name) != value]
        if different:
            raise CheckpointError(
                f"{self.path}: it is of another run, whose {' and '.join(different)} differ; "
                "delete it to begin anew"
            )
        return Done(num_done, refused)

    def save(self, done: Done) -> None:
        """Records what is done.

        Raises:
            CheckpointError: The file can't be written.
        """
        unfinished = self.path.with_name(self.path.name + ".new")
        refused = [asdict(item) for item in done.refused]
        content = {"num_done": done.num_done, "refused": refused, "run": self.run}
        try:
            unfinished.write_text(json.dumps(content, indent=2), encoding="utf-8")
            unfinished.replace(self.path)
        except OSError as error:
            raise CheckpointError(f"{self.path}: can't be written ({error.strerror})") from error

    def remove(self) -> None:
        """Deletes the file, since everything is done."""
        self.path.unlink(missing_ok=True)
