"""Messages from and to bytes; large ones a piece at a time, so that they never hold the event loop.

protobuf holds the GIL while it decodes and encodes, so a thread would block the event loop just as
long. But the pieces of a message's encoding can be decoded one after the other: a large message is
cut between its fields, and the event loop has a turn after each piece.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from twopass.server.errors import InvalidRequestError, ResponseTooLargeError

MessageT = TypeVar("MessageT", bound=Message)
PartT = TypeVar("PartT")

# How long a message is worked on before the event loop has its turn.
_TURN_SECONDS = 0.001
# Most bytes and fields decoded at once: 0.1 ms for texts, 10 ms for the smallest possible fields.
_PIECE_BYTES = 64 * 1024
_PIECE_FIELDS = 500
# Most fields of a message that is decoded in pieces: a field becomes an object of about a hundred
# bytes, though two bytes of a message suffice for one. No list of a request has more than 100,000
# elements, and in metadata that is cut, since it is longer than a piece, its 1,024 fields take 64
# bytes on average.
_MAX_FIELDS = 250_000
_BYTES_PER_FURTHER_FIELD = 64
# Most bytes of a field that can't be cut: a text, a vector, an entry of a map. A MiB of text takes
# 0.6 ms.
_MAX_VALUE_BYTES = 8 * 1024 * 1024
# Nesting that protobuf itself allows.
_MAX_DEPTH = 100
# Fewer elements than these are encoded at once.
_MIN_CUT_ELEMENTS = 32

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPE_BITS = 3
_MORE = 0x80


@dataclass(frozen=True, slots=True)
class ReadMessage(Generic[MessageT, PartT]):
    """A message of which a part is read already: protobuf makes an object of each element.

    Attributes:
        message: Its other fields.
        part: What was read.
    """

    message: MessageT
    part: PartT


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """An answer of which a part is encoded already: protobuf makes an object of each element.

    Attributes:
        message: What is not encoded yet.
        content: The encoding of its other fields.
    """

    message: Message
    content: bytes

    def read(self) -> Message:
        """The whole answer as a message, for a wire that needs one."""
        self.message.MergeFromString(self.content)
        return self.message


class Decoder:
    """Decodes the messages of one type."""

    def __init__(self, descriptor: Descriptor, *, max_value_bytes: int = 0) -> None:
        """Prepares to decode.

        Args:
            descriptor: The type of the messages.
            max_value_bytes: Longest text that the server's settings allow, in bytes. A text of up
                to 8 MiB is always decoded, and refused by its field's own limit.
        """
        self._class = message_factory.GetMessageClass(descriptor)
        self._name = descriptor.full_name
        self._max_value_bytes = max(_MAX_VALUE_BYTES, max_value_bytes)

    def decode(self, content: bytes) -> Message:
        """Decodes a message at once.

        Raises:
            InvalidRequestError: The bytes are not a message of this type.
        """
        try:
            return self._class.FromString(content)
        except DecodeError as error:
            raise self._malformed(error) from None

    async def decode_large(self, content: bytes) -> Message:
        """Decodes a message a piece at a time.

        Raises:
            InvalidRequestError: The bytes are not a message of this type, or it has more fields, or
                a larger field, than any valid request.
        """
        message = self._class()
        decoding = _Decoding(content, self._max_value_bytes)
        turn_ends = time.perf_counter() + _TURN_SECONDS
        try:
            for _ in decoding.merge_into(message, 0, len(content), _MAX_DEPTH):
                if time.perf_counter() >= turn_ends:
                    await asyncio.sleep(0)
                    turn_ends = time.perf_counter() + _TURN_SECONDS
        except DecodeError as error:
            raise self._malformed(error) from None
        return message

    def _malformed(self, error: DecodeError) -> InvalidRequestError:
        return InvalidRequestError(f"not a {self._name}: {error}")


def is_large(content: bytes) -> bool:
    """Whether a message is decoded a piece at a time."""
    return len(content) > _PIECE_BYTES


def is_large_answer(message: Message) -> bool:
    """Whether a message is encoded a piece at a time."""
    return any(
        len(getattr(message, name)) >= _MIN_CUT_ELEMENTS
        for name, _ in _repeated_messages(message.DESCRIPTOR)
    )


async def encode_large(message: Message) -> bytes:
    """Encodes a message a piece at a time; the message loses its large fields."""
    return b"".join([piece async for piece in _encoded_pieces(message)])


def ensure_fits(content: bytes, max_bytes: int) -> None:
    """Refuses an answer that gRPC would not send.

    Raises:
        ResponseTooLargeError: The answer is larger than `max_bytes`.
    """
    if len(content) > max_bytes:
        raise ResponseTooLargeError(
            f"response: {len(content):,} bytes, at most {max_bytes:,} in one message "
            "(max_message_bytes); ask for fewer results or fewer fields",
            limit_name="max_message_bytes",
            limit=max_bytes,
            value=len(content),
        )


class _Decoding:
    """The decoding of one message in pieces."""

    def __init__(self, content: bytes, max_value_bytes: int) -> None:
        self._content = content
        self._max_value_bytes = max_value_bytes
        self._num_fields = 0
        self._max_fields = _MAX_FIELDS + len(content) // _BYTES_PER_FURTHER_FIELD

    def merge_into(self, message: Message, start: int, end: int, depth: int) -> Iterator[None]:
        """Merges the fields between two positions into a message, and yields after each piece.

        Raises:
            DecodeError: The bytes are not fields, or are nested too deep.
            InvalidRequestError: There are too many fields, or one is too large.
        """
        if not depth:
            raise DecodeError("nested too deep")
        nested = _nested_fields(message.DESCRIPTOR)
        at = piece = start
        piece_fields = 0
        while at < end:
            field_start = at
            number, content_start, at = self._next_field(at, end)
            if at - field_start > _PIECE_BYTES:
                yield from self._merge(message, piece, field_start)
                inner = _open(message, nested[number]) if number in nested else None
                if inner is None:
                    self._ensure_value_fits(message, number, at - content_start)
                    yield from self._merge(message, field_start, at)
                else:
                    yield from self.merge_into(inner, content_start, at, depth - 1)
                piece, piece_fields = at, 0
                continue
            piece_fields += 1
            if at - piece > _PIECE_BYTES or piece_fields >= _PIECE_FIELDS:
                yield from self._merge(message, piece, at)
                piece, piece_fields = at, 0
        yield from self._merge(message, piece, end)

    def _merge(self, message: Message, start: int, end: int) -> Iterator[None]:
        if start < end:
            message.MergeFromString(self._content[start:end])
            yield

    def _next_field(self, at: int, end: int) -> tuple[int, int, int]:
        """The number of a field, where its content begins, and where it ends."""
        self._num_fields += 1
        if self._num_fields > self._max_fields:
            raise InvalidRequestError(
                f"message: more than {self._max_fields:,} fields, more than any request has; send "
                "several smaller ones",
                limit=self._max_fields,
            )
        tag, at = self._varint(at, end)
        wire_type = tag & 7
        start = at
        if wire_type == _LENGTH:
            length, start = self._varint(at, end)
            at = start + length
        elif wire_type == _VARINT:
            _, at = self._varint(at, end)
        elif wire_type == _FIXED32:
            at += 4
        elif wire_type == _FIXED64:
            at += 8
        else:
            raise DecodeError(f"no such wire type: {wire_type}")
        if at > end:
            raise DecodeError("cut short")
        return tag >> _WIRE_TYPE_BITS, start, at

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """The number that begins at a position, and where it ends."""
        value = shift = 0
        while at < end:
            byte = self._content[at]
            at += 1
            value |= (byte & ~_MORE) << shift
            if byte < _MORE:
                return value, at
            shift += 7
            if shift >= 70:  # ten bytes hold 64 bits
                break
        raise DecodeError("cut short, or a number of more than 64 bits")

    def _ensure_value_fits(self, message: Message, number: int, num_bytes: int) -> None:
        if num_bytes > self._max_value_bytes:
            field = message.DESCRIPTOR.fields_by_number.get(number)
            name = f"field {number}" if field is None else field.name
            raise InvalidRequestError(
                f"{name}: {num_bytes:,} bytes, at most {self._max_value_bytes:,} in one value",
                limit=self._max_value_bytes,
                value=num_bytes,
            )


def _open(message: Message, field: tuple[str, bool]) -> Message:
    """The message within a message into which a field's content is merged."""
    name, is_repeated = field
    value: Any = getattr(message, name)
    inner: Message = value.add() if is_repeated else value
    inner.SetInParent()
    return inner


@functools.cache
def _nested_fields(descriptor: Descriptor) -> dict[int, tuple[str, bool]]:
    """The fields that hold messages, except maps: name and whether repeated, by number."""
    return {
        field.number: (field.name, field.is_repeated)
        for field in descriptor.fields
        if field.message_type is not None and not field.message_type.GetOptions().map_entry
    }


@functools.cache
def _repeated_messages(descriptor: Descriptor) -> list[tuple[str, bytes]]:
    """The repeated fields that hold messages: name, and the tag of an element as bytes."""
    return [
        (name, _varint_bytes(number << _WIRE_TYPE_BITS | _LENGTH))
        for number, (name, is_repeated) in _nested_fields(descriptor).items()
        if is_repeated
    ]


async def _encoded_pieces(message: Message) -> AsyncIterator[bytes]:
    """Yields bytes that make up the message's encoding, the large fields first."""
    turn_ends = time.perf_counter() + _TURN_SECONDS
    for name, tag in _repeated_messages(message.DESCRIPTOR):
        elements: Any = getattr(message, name)
        if len(elements) < _MIN_CUT_ELEMENTS:
            continue
        for element in elements:
            content = element.SerializeToString()
            yield tag + _varint_bytes(len(content)) + content
            if time.perf_counter() >= turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.perf_counter() + _TURN_SECONDS
        message.ClearField(name)
    yield message.SerializeToString()


def _varint_bytes(value: int) -> bytes:
    encoded = bytearray()
    while value >= _MORE:
        encoded.append(value & ~_MORE & 0xFF | _MORE)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
