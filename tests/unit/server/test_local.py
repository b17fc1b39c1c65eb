"""What a server that a command started writes before it serves, whoever wrote it."""

import json
from types import SimpleNamespace

import pytest

from twopass.server.local import LocalServer, LocalServerError

SERVING = json.dumps(
    {"level": "info", "message": "serving", "address": "127.0.0.1:5", "http": "http://h"}
)
# Lines of libraries that are JSON by chance, or JSON of another kind.
FOREIGN = ["3", "null", '"serving"', "[1, 2]", "{}", '{"message": "serving"}', '{"level": "info"}']
FOREIGN += ['{"message": "serving", "level": "info"}', "[" * 100_000, "-", "\ufffd", ""]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda line: line[:20])
def test_a_line_that_is_not_of_the_log_is_passed_over(foreign):
    server = LocalServer(None)
    lines = iter([f"{foreign}\n", f"{SERVING}\n"])
    assert server._wait_until_serving(lines, None) == "127.0.0.1:5"
    assert server.http_url == "http://h"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["3", "no memory is left"], "no memory is left"),
        ([json.dumps({"level": "critical", "message": "port in use"}), ""], "port in use"),
        (["[1]"], r"\[1\]"),
    ],
)
def test_a_server_that_ends_before_it_serves_is_told_with_its_last_line(lines, told):
    server = LocalServer(None)
    server._process = SimpleNamespace(wait=lambda: 3)
    with pytest.raises(LocalServerError, match=f"ended with status 3 before it served: {told}$"):
        server._wait_until_serving(iter(f"{line}\n" for line in lines), None)
