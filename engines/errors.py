"""Everything an engine or a model folder can raise.

::

    EngineError                    the root: catching it catches all of them
    ├── ModelError                 a model folder is damaged: names the file and the remedy
    │   ├── UnsupportedModelError  it is sound, but this engine does not run its architecture
    │   └── WrongKindError         it is an encoder where a reranker is needed, or the reverse
    ├── EngineUnavailableError     the engine needs a package or a device that is not here
    ├── EngineBusyError            the engine has no room for a batch now
    ├── MisfitError                an engine does not compute what the others of its fleet do
    ├── InputTooLongError          a sequence is longer than the engine's `max_seq_len`
    ├── OutOfDeviceMemoryError     a batch does not fit on the device now; smaller ones do
    ├── NonFiniteOutputError       a sequence's output is not a number; the others are sound
    └── DeviceError                the device failed; the engine must be rebuilt
"""


class EngineError(Exception):
    """An engine could not be built, or could not compute."""


class ModelError(EngineError):
    """A model folder is missing, damaged or incomplete."""


class UnsupportedModelError(ModelError):
    """The model is sound, but this engine does not run its architecture."""


class WrongKindError(ModelError):
    """The model is an encoder where a reranker is asked for, or the reverse.

    Attributes:
        found: What it is, "encoder" or "reranker".
    """

    def __init__(self, message: str, found: str) -> None:
        super().__init__(message)
        self.found = found


class EngineUnavailableError(EngineError):
    """The engine needs a package or a device that this machine lacks."""


class EngineBusyError(EngineError):
    """The engine has no room for a batch now; later it may have."""


class MisfitError(EngineError):
    """An engine does not compute what the others of its fleet compute; the message says why."""


class InputTooLongError(EngineError):
    """A sequence holds more tokens than the engine accepts.

    Attributes:
        facts: For programs: "limit", the most tokens, and "value", those given.
    """

    def __init__(self, num_tokens: int, max_seq_len: int) -> None:
        super().__init__(f"a sequence has {num_tokens} tokens, at most {max_seq_len} are supported")
        self.facts = {"limit": max_seq_len, "value": num_tokens}


class OutOfDeviceMemoryError(EngineError):
    """The device has no memory for a batch; the engine still computes smaller ones."""


class NonFiniteOutputError(EngineError):
    """The output of a sequence holds a NaN or an infinity.

    The text may overflow the precision that the engine computes in, which concerns that text alone,
    or the device may be at fault, which a probe finds out.
    """


class DeviceError(EngineError):
    """The device failed mid-computation: results are lost, the engine must be rebuilt."""
