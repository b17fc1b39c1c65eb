from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twopass.server.edge.gate import Gate
from twopass.server.edge.keys import KeyRing, make_key
from twopass.server.edge.permissions import Permission
from twopass.server.errors import OverloadedError, PermissionDeniedError, UnauthenticatedError
from twopass.server.request import Caller, Role
from twopass.server.telemetry.metrics import Metrics

WEB, JOB, READER = make_key(), make_key(), make_key()


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    file = tmp_path / "keys.toml"
    file.write_text(
        f'[[keys]]\nname = "web"\nsha256 = "{WEB.sha256}"\nmax_calls = 2\n'
        f'[[keys]]\nname = "job"\nsha256 = "{JOB.sha256}"\ncalls_per_second = 3\n'
        f'[[keys]]\nname = "ask"\nsha256 = "{READER.sha256}"\nrole = "reader"\n'
    )
    return KeyRing(file)


@contextmanager
def admitted(gate: Gate, metadata, permission=Permission.READ) -> Iterator[Caller]:
    caller = gate.admit(metadata, permission)
    try:
        yield caller
    finally:
        gate.release(caller)


def bearing(secret: str) -> list[tuple[str, str]]:
    return [("user-agent", "test"), ("authorization", f"Bearer {secret}")]


def rejections(metrics: Metrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("twopass_rejections_total", {"reason": reason})


def test_without_keys_everyone_may_use_everything():
    with admitted(Gate(Metrics(), max_calls=1), [], Permission.ADMIN) as caller:
        assert caller.name == ""
        caller.ensure_may_use("anything")


def test_no_more_calls_than_allowed_are_under_way():
    metrics = Metrics()
    gate = Gate(metrics, max_calls=2)
    with admitted(gate, []), admitted(gate, []):
        with pytest.raises(OverloadedError, match="calls: 2 are under way"):
            gate.admit([], Permission.READ)
        assert rejections(metrics, "calls") == 1
    assert gate.num_calls == 0
    with admitted(gate, []):
        pass


def test_a_call_that_fails_gives_its_place_back():
    gate = Gate(Metrics(), max_calls=1)
    with pytest.raises(ZeroDivisionError), admitted(gate, []):
        raise ZeroDivisionError
    with admitted(gate, []):
        pass


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", WEB.secret)],
        [("authorization", f"Basic {WEB.secret}")],
        [("authorization", f"Bearer {WEB.secret}x")],
        [("authorization", b"Bearer x")],
        [("authorization-bin", f"Bearer {WEB.secret}")],
    ],
)
def test_who_has_no_key_of_the_server_stays_outside(keys, metadata):
    metrics = Metrics()
    with pytest.raises(UnauthenticatedError) as raised:
        Gate(metrics, keys=keys, max_calls=9).admit(metadata, Permission.READ)
    assert WEB.secret not in str(raised.value)
    assert rejections(metrics, "unauthenticated") == 1


def test_the_calls_of_one_key_do_not_take_the_places_of_another(keys):
    gate = Gate(Metrics(), keys=keys, max_calls=9)
    with admitted(gate, bearing(WEB.secret)) as caller, admitted(gate, bearing(WEB.secret)):
        assert caller.name == "web"
        with pytest.raises(OverloadedError, match="2 of the key 'web' are under way"):
            gate.admit(bearing(WEB.secret), Permission.READ)
        with admitted(gate, bearing(JOB.secret)) as other:
            assert other.name == "job"
    with admitted(gate, bearing(WEB.secret)):
        pass


def test_more_calls_than_a_second_allows_wait_for_the_next(keys):
    gate = Gate(Metrics(), keys=keys, max_calls=99)
    for _ in range(3):
        with admitted(gate, bearing(JOB.secret)):
            pass

    def call_without_end() -> None:
        while True:
            gate.admit(bearing(JOB.secret), Permission.READ)

    with pytest.raises(OverloadedError, match="'job' may make 3 a second") as raised:
        call_without_end()
    assert 0 < raised.value.retry_after <= 1 / 3


def test_a_role_that_lacks_the_permission_is_refused_before_it_takes_a_place(keys):
    gate = Gate(Metrics(), keys=keys, max_calls=1)
    with pytest.raises(
        PermissionDeniedError, match=r"'ask' has the role reader, .* needs writer or admin;"
    ):
        gate.admit(bearing(READER.secret), Permission.WRITE)
    assert gate.num_calls == 0
    with admitted(gate, bearing(READER.secret)) as caller:
        assert caller.role is Role.READER


def test_a_key_without_a_role_may_do_everything_as_before_there_were_roles(keys):
    with admitted(Gate(Metrics(), keys=keys), bearing(WEB.secret), Permission.ADMIN) as caller:
        assert caller.role is Role.ADMIN


def test_what_is_open_needs_no_key(keys):
    Gate(Metrics(), keys=keys).check([], Permission.OPEN)
    with pytest.raises(UnauthenticatedError):
        Gate(Metrics(), keys=keys).check([], Permission.READ)
