"""Examples of later steps, prepared by other processes while this one trains.

Not by threads: whoever launches work on a GPU needs the interpreter all the time. Each process
prepares every so-manieth step, so that which examples a step has does not depend on their number.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import NoReturn

import numpy as np

from twopass.engines.base.sequences import Int32s
from twopass.training.examples.layout import Part, PartShape, lay_out
from twopass.training.examples.shared_memory import anonymous_file, as_int32, mapped, shared
from twopass.training.examples.worker import Assignment, Failed, Prepared, Source, main
from twopass.training.pairs import TrainingError

# While one is read, the next is written.
_FEWEST_SLOTS = 2
_SECONDS_TO_END = 5


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """The groups of a step, laid out.

    Attributes:
        parts: Its parts; their arrays may lie in shared memory.
        free: Says that nothing reads the arrays any more, so that their memory is written anew.
    """

    parts: list[Part]
    free: Callable[[], None]

    @property
    def num_groups(self) -> int:
        """Number of groups."""
        return sum(part.shape.groups for part in self.parts)

    @property
    def num_pairs(self) -> int:
        """Number of pairs."""
        return sum(part.shape.pairs for part in self.parts)


Steps = Generator[PreparedStep, None, None]


def prepared_here(source: Source, steps: range) -> Steps:
    """Prepares each step when it is asked for, in this process."""
    for step in steps:
        parts = list(lay_out(source.sampler.of_step(step), source.size, source.pad_id))
        yield PreparedStep(parts, lambda: None)


def prepared_by(
    num_workers: int,
    source: Source,
    steps: range,
    max_elements: int,
    lock_pages: Callable[[Int32s], Callable[[], None]] = lambda _: lambda: None,
    *,
    ahead: int = 0,
) -> Steps:
    """Prepares steps in other processes, in order. Closing the iterator ends them.

    Args:
        num_workers: How many, at least 1.
        source: What examples are made of; its arrays are shared, not copied.
        steps: The steps.
        max_elements: Most elements of a step's arrays together.
        lock_pages: Locks memory that a device reads from; returns what unlocks it.
        ahead: How many steps may be taken beyond the one in use, before any of them is freed. There
            is memory for them, so that whoever takes one never waits for another to be freed: that
            wait would have no end where the caller is about to close the iterator.

    Raises:
        TrainingError: A process ended, or one failed with an error that is known here by its text
            alone; any other is raised as it is.
    """
    file = shared(source)
    workers: list[_Worker] = []
    try:
        workers.extend(
            _Worker(
                file,
                steps[number::num_workers],
                [anonymous_file(4 * max_elements) for _ in range(_FEWEST_SLOTS + ahead)],
                lock_pages,
            )
            for number in range(min(num_workers, len(steps)))
        )
        for place, step in enumerate(steps):
            yield workers[place % num_workers].take(step)
    finally:
        for worker in workers:
            worker.close()
        os.close(file)


class _Worker:
    """One process, the memory that it writes to, and the connection to it."""

    def __init__(
        self,
        source: int,
        steps: range,
        files: Sequence[int],
        lock_pages: Callable[[Int32s], Callable[[], None]],
    ) -> None:
        self._slots = [as_int32(mapped(file)) for file in files]
        self._unlock = [lock_pages(slot) for slot in self._slots]
        self._taken = 0
        self._connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                [
                    # Not by -m: what it sends would then be of a module called __main__. With -P no
                    # file of the folder where the training was begun stands for a module.
                    *(sys.executable, "-P", "-c", f"from {main.__module__} import main; main()"),
                    *(str(theirs.fileno()), str(source)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), source, *files),
            )
        finally:
            theirs.close()
            for file in files:
                os.close(file)
        self._send(Assignment(steps, tuple(files)))

    def take(self, step: int) -> PreparedStep:
        """Waits for a step, the next of this process."""
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise TrainingError(
                f"step {step}: the process that prepares its examples ended with status "
                f"{self._end()}; --workers 0 prepares examples in the process that trains"
            ) from error
        if isinstance(answer, Failed):
            _raise(answer, step)
        assert isinstance(answer, Prepared)
        slot = self._slots[self._taken % len(self._slots)]
        self._taken += 1
        return PreparedStep(_parts(slot, answer.shapes), self._free)

    def _free(self) -> None:
        self._send(None)

    def _send(self, message: Assignment | None) -> None:
        with suppress(OSError):  # it has ended, which the next answer tells
            self._connection.send(message)

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._end()
        for unlock in self._unlock:
            unlock()

    def _end(self) -> int:
        """Waits until the process has ended, which it does on its own; returns its status."""
        try:
            return self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _parts(slot: Int32s, shapes: tuple[PartShape, ...]) -> list[Part]:
    ends = np.cumsum([shape.num_elements for shape in shapes]).tolist()
    return [
        Part(shape, slot[end - shape.num_elements : end])
        for shape, end in zip(shapes, ends, strict=True)
    ]


def _raise(failed: Failed, step: int) -> NoReturn:
    if failed.error:
        error = pickle.loads(failed.error)  # noqa: S301  # of our own process
        error.add_note(f"while the examples of step {step} were prepared in another process")
        raise error
    raise TrainingError(f"step {step}: {failed.text}, while its examples were prepared")
