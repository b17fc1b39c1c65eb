"""The systemd unit starts what there is."""

import re
from pathlib import Path

from twopass.server.config import ServerConfig

UNIT = (Path(__file__).parents[3] / "deploy" / "twopass.service").read_text()


def setting(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return value


def test_its_flags_are_those_of_the_command():
    flags = re.findall(r" --([a-z-]+)", setting("ExecStart"))
    assert set(flags) <= {"config", *(name.replace("_", "-") for name in ServerConfig.model_fields)}
    assert " serve " in setting("ExecStart")


def test_systemd_waits_longer_than_the_drain_takes():
    assert float(setting("TimeoutStopSec")) > ServerConfig.model_fields["drain_seconds"].default


def test_it_may_open_a_file_for_every_call_and_more():
    assert int(setting("LimitNOFILE")) > 10 * ServerConfig.model_fields["max_calls"].default
