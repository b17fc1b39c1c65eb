"""The file of `--resume`: how far a run of `twopass index` has come, for the next run to go on."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from twopass.commands.field_mapping import FieldMapping
from twopass.commands.sources.source_file import SourceFile


class CheckpointError(Exception):
    """The file is not a checkpoint, or belongs to another run; the message says what to do."""


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

    def num_done(self) -> int:
        """How many of the first documents an earlier run has written; 0 without a file.

        Raises:
            CheckpointError: The file is not a checkpoint, or belongs to another run.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            run, num_done = content["run"], int(content["num_done"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.path}: not a file of --resume; name another") from error
        different = [name for name, value in self.run.items() if run.get(name) != value]
        if different:
            raise CheckpointError(
                f"{self.path}: it is of another run, whose {' and '.join(different)} differ; "
                "delete it to begin anew"
            )
        return num_done

    def save(self, num_done: int) -> None:
        """Records that the first `num_done` documents are on the server's disk."""
        unfinished = self.path.with_name(self.path.name + ".new")
        content = {"num_done": num_done, "run": self.run}
        unfinished.write_text(json.dumps(content, indent=2), encoding="utf-8")
        unfinished.replace(self.path)

    def remove(self) -> None:
        """Deletes the file, since everything is done."""
        self.path.unlink(missing_ok=True)
