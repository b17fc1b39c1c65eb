"""The standard health service, grpc.health.v1, whose two messages of one field are coded by hand.

HealthCheckRequest is `string service = 1`, HealthCheckResponse `ServingStatus status = 1`, where
SERVING is 1.
"""

from twopass.client._rpcs import Rpc

# Seconds between two checks of `wait_until_ready`: doubled from the first to the longest, which is
# also how long a check may take.
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

_STRING_OF_FIELD_1 = b"\x0a"
_SERVING = b"\x08\x01"  # field 1, a varint of 1


def _serialize(service: str) -> bytes:
    name = service.encode()
    return _STRING_OF_FIELD_1 + _varint(len(name)) + name if name else b""


def _varint(number: int) -> bytes:
    """Seven bits a byte, lowest first, the eighth set in all but the last."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _is_serving(response: bytes) -> bool:
    return response.startswith(_SERVING)


CHECK: Rpc[str, bool] = Rpc("grpc.health.v1.Health", "Check", _serialize, _is_serving)
