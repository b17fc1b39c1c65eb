"""Bodies out of gzip: bounded, and beside the event loop where they are large."""

import zlib

from twopass.index.lanes import Lane
from twopass.server.http.bodies import check_commas, too_long
from twopass.server.http.statuses import HttpError
from twopass.server.request import Request

# As long as a body that is not compressed may be to be read at once; see `Translating`. Texts of so
# many bytes come out of gzip in 1.6 ms, on a core of an AMD EPYC (Zen 4).
_SMALL_BYTES = 256 * 1024
# And of no more that was sent, whatever its end says it holds: of blocks that hold nothing, which
# take longest for what they bring, so much takes 4 ms.
_SMALL_SENT_BYTES = 32 * 1024
# The last four bytes of gzip: the length of what comes out, modulo 2^32.
_LENGTH_BYTES = 4


class Unpacking:
    """Undoes gzip: at once where little comes out of it, else in a thread.

    zlib works without the GIL, so what waits for a thread holds up no one else.
    """

    def __init__(self, lane: Lane) -> None:
        """Takes the lane whose threads unpack.

        Args:
            lane: How much is unpacked at once. What comes out counts as the request's only when it
                is whole, so each thread may have one body more in memory than is counted.
        """
        self._lane = lane

    async def run(
        self, sent: bytes, request: Request, *, is_gzip: bool, max_bytes: int, name: str = "body"
    ) -> bytes:
        """The content of a body, or of a message in a URL.

        Args:
            sent: What came; its bytes count already.
            request: Whose bytes those are that come out of gzip.
            is_gzip: Whether it is compressed.
            max_bytes: Longest content.
            name: What errors call it.

        Raises:
            HttpError: It is not gzip, too long, or has too many values.
            OverloadedError: There is no room for it.
            LaneFullError: Too many others wait to be unpacked.
            StoppedError: The request ended first.
        """
        content = await self._out_of_gzip(sent, request, max_bytes, name) if is_gzip else sent
        check_commas(content, name)
        return content

    async def _out_of_gzip(self, sent: bytes, request: Request, max_bytes: int, name: str) -> bytes:
        content = None
        if _is_small(sent):
            content = _unpacked(sent, min(max_bytes, _SMALL_BYTES), name)
        if content is None:
            content = await self._lane.run(_unpacked, sent, max_bytes, name, stop=request.stop)
        if content is None:
            raise too_long(max_bytes + 1, max_bytes, name)
        request.reserve_bytes(len(content))
        return content


def _is_small(sent: bytes) -> bool:
    """Whether little comes out of gzip, as far as it says so itself."""
    told = int.from_bytes(sent[-_LENGTH_BYTES:], "little")
    return len(sent) <= _SMALL_SENT_BYTES and told <= _SMALL_BYTES


def _unpacked(sent: bytes, max_bytes: int, name: str) -> bytes | None:
    """Undoes gzip; None where more comes out of it than `max_bytes`, which is never made."""
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacking.decompress(sent, max_bytes + 1)
    except zlib.error as error:
        raise HttpError(400, f"{name}: said to be gzip, but it is not ({error})") from None
    if len(content) > max_bytes:
        return None
    if not unpacking.eof:
        raise HttpError(400, f"{name}: gzip, but cut short")
    if unpacking.unused_data:
        raise HttpError(
            400, f"{name}: gzip, and {len(unpacking.unused_data):,} bytes after its end; send one"
        )
    return content
