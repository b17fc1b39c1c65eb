"""How strace's output is read."""

from .system_calls import SystemCall, read_calls

OUTPUT = r"""
12 pwrite64(7<\x2f\x77\x61\x6c>, "\x61\x62", 2, 0) = 2
12 fdatasync(7<\x2f\x77\x61\x6c> <unfinished ...>
13 sendmsg(9<socket:[1]>, {msg_iov=[{iov_base="\x63", iov_len=1}, {iov_base="\x64"}]}, 0) = 2
12 <... fdatasync resumed>) = 0
13 fsync(7<\x2f\x77\x61\x6c>) = -1 EIO (Input/output error)
12 +++ exited with 0 +++
"""


def test_calls_are_read_in_the_order_of_their_beginnings_and_ends(tmp_path):
    file = tmp_path / "strace.txt"
    file.write_text(OUTPUT)
    assert list(read_calls(file)) == [
        SystemCall("pwrite64", "/wal", b"ab", has_ended=False),
        SystemCall("pwrite64", "/wal", b"ab", has_ended=True),
        SystemCall("fdatasync", "/wal", b"", has_ended=False),
        SystemCall("sendmsg", "socket:[1]", b"cd", has_ended=False),
        SystemCall("sendmsg", "socket:[1]", b"cd", has_ended=True),
        SystemCall("fdatasync", "/wal", b"", has_ended=True),
        SystemCall("fsync", "/wal", b"", has_ended=False),  # failed: it never ends
    ]
