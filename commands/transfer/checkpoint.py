"""The file of `--resume`: how far a run of `twopass index` has come, for the next run to go on."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import LeftOut
from twopass.commands.sources.source_file import SourceFile
from twopass.commands.transfer.field_mapping import FieldMapping


class CheckpointError(Exception):
    """The file is not a checkpoint, or belongs to another run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """How far a run has come, those before it that it resumes included.

    Attributes:
        num_done: How many of the first documents are on the server's disk, or were refused by it.
        num_read: How many records and things left out were read up to the last of these documents.
        refused: Those of these documents that were refused.
    """

    num_done: int = 0
    num_read: int = 0
    refused: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint file of one run.

    Attributes:
        path: Where the file is.
        run: What identifies the run, by words for it; a file that belongs to another run is
            refused. It is of a fixed size, since it is written at each acknowledgement.
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
        digest = hashlib.sha256()
        reading = Reading()
        for file in files:
            reading = file.reading  # the same of all
            place = str(file.path.resolve())
            told = [place, file.num_bytes, file.modified_ns, file.name, file.format]
            digest.update(json.dumps(told).encode())
        run: dict[str, object] = {
            "collection": collection,
            "time of the collection's creation": created.isoformat(),
            "files": digest.hexdigest(),
            "fields of records": json.loads(json.dumps(asdict(mapping))),
            "--format": reading.format,
            "--encoding": reading.encoding,
            "--delimiter": reading.delimiter,
            "--quotes": reading.has_quotes,
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
            num_read = int(content["num_read"])
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
                f"{self.path}: it is of another run, which differs in {' and '.join(different)}; "
                "delete it to begin anew"
            )
        return Done(num_done, num_read, refused)

    def save(self, done: Done) -> None:
        """Records what is done; a crash leaves what was recorded before, or this.

        Raises:
            CheckpointError: The file can't be written.
        """
        unfinished = self.path.with_name(self.path.name + ".new")
        refused = [asdict(item) for item in done.refused]
        content: dict[str, object] = {
            "num_done": done.num_done,
            "num_read": done.num_read,
            "refused": refused,
            "run": self.run,
        }
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(json.dumps(content))
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except OSError as error:
            raise CheckpointError(f"{self.path}: can't be written ({error.strerror})") from error

    def remove(self) -> None:
        """Deletes the file, since everything is done."""
        self.path.unlink(missing_ok=True)
