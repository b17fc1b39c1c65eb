from pathlib import Path

import pytest

from twopass.server.edge.gate import Gate
from twopass.server.edge.keys import KeyRing, make_key
from twopass.server.errors import OverloadedError, UnauthenticatedError
from twopass.server.telemetry.metrics import Metrics

WEB, JOB = make_key(), make_key()


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    file = tmp_path / "keys.toml"
    file.write_text(
        f'[[keys]]\nname = "web"\nsha256 = "{WEB.sha256}"\nmax_calls = 2\n'
        f'[[keys]]\nname = "job"\nsha256 = "{JOB.sha256}"\ncalls_per_second = 3\n'
    )
    return KeyRing(file)


def bearing(secret: str) -> list[tuple[str, str]]:
    return [("user-agent", "test"), ("authorization", f"Bearer {secret}")]


def rejections(metrics: Metrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("twopass_rejections_total", {"reason": reason})


def test_without_keys_everyone_may_use_everything():
    with Gate(Metrics(), max_calls=1).admitted([]) as caller:
        assert caller.name == ""
        caller.ensure_may_use("anything")


def test_no_more_calls_than_allowed_are_under_way():
    metrics = Metrics()
    gate = Gate(metrics, max_calls=2)
    with gate.admitted([]), gate.admitted([]):
        with pytest.raises(OverloadedError, match="calls: 2 are under way"):
            gate.admitted([]).__enter__()
        assert rejections(metrics, "calls") == 1
    assert gate.num_calls == 0
    with gate.admitted([]):
        pass


def test_a_call_that_fails_gives_its_place_back():
    gate = Gate(Metrics(), max_calls=1)
    with pytest.raises(ZeroDivisionError), gate.admitted([]):
        raise ZeroDivisionError
    with gate.admitted([]):
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
        Gate(metrics, keys=keys, max_calls=9).admitted(metadata).__enter__()
    assert WEB.secret not in str(raised.value)
    assert rejections(metrics, "unauthenticated") == 1


def test_the_calls_of_one_key_do_not_take_the_places_of_another(keys):
    gate = Gate(Metrics(), keys=keys, max_calls=9)
    with gate.admitted(bearing(WEB.secret)) as caller, gate.admitted(bearing(WEB.secret)):
        assert caller.name == "web"
        with pytest.raises(OverloadedError, match="2 of the key 'web' are under way"):
            gate.admitted(bearing(WEB.secret)).__enter__()
        with gate.admitted(bearing(JOB.secret)) as other:
            assert other.name == "job"
    with gate.admitted(bearing(WEB.secret)):
        pass


def test_more_calls_than_a_second_allows_wait_for_the_next(keys):
    gate = Gate(Metrics(), keys=keys, max_calls=99)
    for _ in range(3):
        with gate.admitted(bearing(JOB.secret)):
            pass

    def call_without_end() -> None:
        while True:
            gate.admitted(bearing(JOB.secret)).__enter__()

    with pytest.raises(OverloadedError, match="'job' may make 3 a second") as raised:
        call_without_end()
    assert 0 < raised.value.retry_after <= 1 / 3
