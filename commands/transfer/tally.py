"""What a run has written and left out."""

from collections import Counter
from dataclasses import dataclass, field

from twopass.client import UpsertSummary
from twopass.commands.sources.records import LeftOut

# Most of what was left out that is kept by name. All of it is counted.
_MAX_NAMED = 10_000


@dataclass(slots=True)
class Tally:
    """Counts of one run of `twopass index`.

    Attributes:
        num_inserted: Documents that were new.
        num_replaced: Documents that replaced one of the same id.
        num_skipped: Documents that were not written, since their ids were known.
        num_split: How many of those written were split.
        num_resumed: Documents that earlier runs had done, by the file of `--resume`.
        left_out: What was left out, by name, the first 10,000.
        num_left_out: How many records or files were left out, by kind.
        num_faults: How many of what was left out are faults: records, and rests of files or whole
            files.
        num_file_faults: How many of these are rests of files or whole files.
        num_other_files: How many files of folders are of kinds that are not read, by suffix.
        unused_fields: Fields that no document got, since all metadata are one field's.
    """

    num_inserted: int = 0
    num_replaced: int = 0
    num_skipped: int = 0
    num_split: int = 0
    num_resumed: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    num_left_out: Counter[str] = field(default_factory=Counter)
    num_faults: int = 0
    num_file_faults: int = 0
    num_other_files: Counter[str] = field(default_factory=Counter)
    unused_fields: list[str] = field(default_factory=list)

    @property
    def num_on_disk(self) -> int:
        """Documents of this run that are on the server's disk."""
        return self.num_inserted + self.num_replaced + self.num_skipped

    def add(self, summary: UpsertSummary, before: UpsertSummary) -> None:
        """Counts what a call has written since its summary `before`."""
        self.num_inserted += summary.num_inserted - before.num_inserted
        self.num_replaced += summary.num_replaced - before.num_replaced
        self.num_skipped += summary.num_skipped - before.num_skipped
        self.num_split += summary.num_split - before.num_split

    def leave_out(self, item: LeftOut) -> None:
        """Counts something that was left out: as many records as it has, or one file."""
        self.num_left_out[item.kind] += max(1, item.num_records)
        if item.is_fault:
            self.num_faults += 1
            self.num_file_faults += item.num_records == 0
        if len(self.left_out) < _MAX_NAMED:
            self.left_out.append(item)
