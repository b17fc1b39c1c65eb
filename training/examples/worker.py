"""A process that prepares examples, begun by a pool (`pool.py`).

It samples its share of the steps, lays them out in memory that it shares with the process that
trains, and tells where. It ends when that process does, however that ends: its connection breaks.
"""

import pickle
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection

from twopass.training.examples.layout import PartShape, PartSize, lay_out
from twopass.training.examples.sampling import StepSampler
from twopass.training.examples.shared_memory import as_int32, mapped, opened


@dataclass(frozen=True, slots=True)
class Source:
    """What the examples of any step are made of.

    Attributes:
        sampler: Chooses them.
        size: How large a part may be.
        pad_id: Token id of padding.
    """

    sampler: StepSampler
    size: PartSize
    pad_id: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one process prepares.

    Attributes:
        steps: Its steps, in order.
        slots: File descriptors of the memory that it writes to, one step in each, by turns.
    """

    steps: range
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step that lies in shared memory.

    Attributes:
        shapes: Of its parts, whose arrays lie one after another.
    """

    shapes: tuple[PartShape, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """What stood in the way of a step.

    Attributes:
        error: As it was raised, pickled; empty where it can't be.
        text: Its type and message.
    """

    error: bytes
    text: str

    @classmethod
    def of(cls, error: Exception) -> "Failed":
        """Takes an exception."""
        try:
            pickled = pickle.dumps(error)
            pickle.loads(pickled)  # noqa: S301  # ours: some errors can be written and not read
        except Exception:  # whatever its own reduction raises
            pickled = b""
        return cls(pickled, f"{type(error).__name__}: {error}")


def work(connection: Connection, source: Source, assignment: Assignment) -> None:
    """Prepares step after step; each waits for its slot, which the other side frees by a word."""
    slots = [as_int32(mapped(slot)) for slot in assignment.slots]
    for number, step in enumerate(assignment.steps):
        if number >= len(slots):
            connection.recv()
        slot, end, shapes = slots[number % len(slots)], 0, []
        for part in lay_out(source.sampler.of_step(step), source.size, source.pad_id):
            slot[end : end + len(part.array)] = part.array
            end += len(part.array)
            shapes.append(part.shape)
        connection.send(Prepared(tuple(shapes)))


def main() -> None:
    """Takes the number of a connection's file, the file of the source, and an assignment."""
    # Ctrl-C goes to the whole group of processes; the one that trains says when it is over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as connection:
        try:
            try:
                work(connection, opened(int(sys.argv[2])), connection.recv())
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:  # whatever it is, the training is told
                connection.send(Failed.of(error))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the training is over
