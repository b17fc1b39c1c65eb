"""A fleet gives every batch exactly one answer, whatever its members do."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.base.engine import BatchTerms, Urgency
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import (
    DeviceError,
    EngineBusyError,
    EngineUnavailableError,
    InputTooLongError,
    OutOfDeviceMemoryError,
)
from twopass.engines.fleet.fleet import Fleet

from .acting import ActingEngine, Clock, Deed, batch_of, logits_of
from .fleets import HANGS, LOST, SOUND, always, fleet_on, joined, run

deeds = st.builds(
    Deed,
    seconds=st.none() | st.floats(0, 5),
    error=st.none()
    | st.sampled_from(
        [
            DeviceError("lost"),
            EngineUnavailableError("is restarting"),
            OutOfDeviceMemoryError("no room"),
            EngineBusyError("full"),
            ValueError("a bug"),
        ]
    ),
)
refusals = st.just(Deed(error=EngineUnavailableError("closed"), at_once=True))
# After its script a member computes what it gets.
scripts = st.lists(deeds | refusals, max_size=6)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from("abcde"), scripts, max_size=5),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 64)), min_size=1, max_size=20),
    st.lists(
        st.tuples(
            st.floats(0, 10), st.sampled_from(["join", "leave", "lose"]), st.sampled_from("abcdef")
        )
    ),
)
def test_every_batch_has_one_answer_its_own_or_an_error(members, batches, comings):
    clock = Clock()
    fleet, _ = joined(clock, **{n: chain(script, always(SOUND)) for n, script in members.items()})
    answers = []

    def submit(number: int, num_tokens: int) -> None:
        batch = batch_of(number, num_tokens)
        answers.append((batch, fleet.submit(batch)))

    for number, (moment, num_tokens) in enumerate(batches):
        clock.at(moment, lambda number=number, n=num_tokens: submit(number, n))
    for moment, what, name in comings:
        act = {
            "join": lambda name=name: fleet.join(name, ActingEngine(clock, always(SOUND))),
            "leave": lambda name=name: fleet.leave(name),
            "lose": lambda name=name: fleet.lose(name, DeviceError("is not there")),
        }[what]
        clock.at(moment, act)
    run(fleet, clock, 200)
    assert len(answers) == len(batches)
    for batch, answer in answers:
        assert answer.done()
        if answer.exception() is None:
            assert answer.result().tolist() == logits_of(batch).tolist()
    assert all(member.num_held == 0 for member in fleet.members)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(scripts, max_size=2),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 64)), min_size=1, max_size=20),
)
def test_one_sound_member_beside_two_of_any_kind_is_enough_for_every_batch(faulty, batches):
    clock = Clock()
    scripted = {f"faulty {i}": chain(script, always(LOST)) for i, script in enumerate(faulty)}
    fleet, _ = joined(clock, sound=always(SOUND), **scripted)
    answers = []
    for number, (moment, num_tokens) in enumerate(batches):
        batch = batch_of(number, num_tokens)
        clock.at(moment, lambda batch=batch: answers.append((batch, fleet.submit(batch))))
    run(fleet, clock, 200)
    for batch, answer in answers:
        assert answer.result(0).tolist() == logits_of(batch).tolist()


def test_a_lost_members_batches_go_to_others_and_it_gets_no_more():
    clock = Clock()
    fleet, engines = joined(clock, a=[HANGS, HANGS], b=always(SOUND))
    answers = [fleet.submit(batch_of(n)) for n in range(4)]
    fleet.lose("a", DeviceError("was killed"))
    run(fleet, clock, 1)
    assert [answer.result(0).tolist() for answer in answers] == [[0], [1], [2], [3]]
    assert [member.name for member in fleet.members] == ["b"]
    assert len(engines["b"].batches) == 4


def test_a_member_that_fails_is_lost_once_and_its_batches_are_computed_elsewhere():
    clock = Clock()
    fleet, _ = joined(clock, a=always(LOST), b=always(SOUND))
    lost = []
    fleet.on_lost = lambda name, _error: lost.append(name)
    answers = [fleet.submit(batch_of(n)) for n in range(6)]
    run(fleet, clock, 1)
    assert [int(answer.result(0)[0]) for answer in answers] == list(range(6))
    assert lost == ["a"]


def test_a_member_that_hangs_owes_its_batch_for_a_second_at_most_then_another_computes_it():
    clock = Clock()
    fleet, engines = joined(clock, a=chain([SOUND], always(HANGS)), b=always(SOUND))
    for n in range(2):
        fleet.submit(batch_of(n))
    run(fleet, clock, 0.1)  # both are measured
    answers = [fleet.submit(batch_of(n)) for n in range(10, 14)]
    run(fleet, clock, 1.2)
    assert [int(answer.result(0)[0]) for answer in answers] == [10, 11, 12, 13]
    assert {m.name: m.is_suspected for m in fleet.members} == {"a": True, "b": False}
    num_given = len(engines["a"].batches)
    for n in range(20, 24):
        fleet.submit(batch_of(n))
    assert len(engines["a"].batches) == num_given  # it gets nothing while it owes an answer


def test_an_answer_after_all_ends_the_suspicion():
    clock = Clock()
    fleet, _ = joined(
        clock, a=[SOUND, Deed(seconds=3)], b=chain([SOUND], always(Deed(seconds=0.5)))
    )
    for n in range(2):
        fleet.submit(batch_of(n))
    run(fleet, clock, 1)
    fleet.submit(batch_of(2))
    run(fleet, clock, 1.5)
    assert [m.is_suspected for m in fleet.members] == [True, False]
    run(fleet, clock, 2)
    assert [m.is_suspected for m in fleet.members] == [False, False]


def test_a_member_that_hangs_for_too_long_is_lost():
    clock = Clock()
    fleet, _ = joined(clock, a=always(HANGS))
    lost = []
    fleet.on_lost = lambda _name, error: lost.append(str(error))
    answer = fleet.submit(batch_of(1))
    run(fleet, clock, 31)
    assert lost == ["a has not answered for 30 s"]
    with pytest.raises(EngineUnavailableError, match="no engine computes model now"):
        answer.result(0)


def test_without_members_a_batch_fails_at_once():
    with pytest.raises(EngineUnavailableError, match="no engine computes model now"):
        fleet_on(Clock()).submit(batch_of(1)).result(0)


def test_a_batch_that_three_members_were_lost_with_is_given_to_no_further_one():
    clock = Clock()
    fleet, engines = joined(clock, **{name: always(LOST) for name in "abcd"})
    answer = fleet.submit(batch_of(1))
    run(fleet, clock, 1)
    with pytest.raises(DeviceError, match="3 engines were lost with one batch"):
        answer.result(0)
    assert sum(len(engine.batches) for engine in engines.values()) == 3
    assert len(fleet.members) == 1


def test_a_batch_that_one_member_has_no_room_for_goes_to_another_and_both_stay():
    clock = Clock()
    busy = Deed(error=EngineBusyError("full"))
    fleet, _ = joined(clock, a=always(busy), b=always(busy), c=always(SOUND))
    answers = [fleet.submit(batch_of(n)) for n in range(6)]
    run(fleet, clock, 1)
    assert [int(answer.result(0)[0]) for answer in answers] == list(range(6))
    assert len(fleet.members) == 3


def test_a_batch_that_no_member_has_room_for_fails_with_what_the_last_one_said():
    clock = Clock()
    fleet, _ = joined(clock, a=always(Deed(error=OutOfDeviceMemoryError("no room"))))
    answer = fleet.submit(batch_of(1))
    run(fleet, clock, 1)
    with pytest.raises(OutOfDeviceMemoryError):
        answer.result(0)
    assert len(fleet.members) == 1


def test_too_long_a_sequence_is_the_batchs_own_fault_and_is_not_tried_elsewhere():
    clock = Clock()
    fleet, engines = joined(clock, a=always(Deed(error=InputTooLongError(99, 64))), b=always(SOUND))
    answer = fleet.submit(batch_of(1))
    run(fleet, clock, 1)
    with pytest.raises(InputTooLongError):
        answer.result(0)
    assert len(fleet.members) == 2
    assert not engines["b"].batches


@pytest.mark.parametrize("slower", [1, 2, 3, 10], ids="by {} times".format)
def test_a_slow_member_gets_less_by_at_least_as_much_as_it_is_slower(slower):
    clock = Clock()
    fleet = fleet_on(clock)
    engines = {
        name: ActingEngine(clock, always(Deed(seconds=seconds)), is_serial=True)
        for name, seconds in {"fast": 0.01, "slow": 0.01 * slower}.items()
    }
    for name, engine in engines.items():
        fleet.join(name, engine)
    under_way = []

    def feed() -> None:
        under_way[:] = [answer for answer in under_way if not answer.done()]
        while len(under_way) < fleet.info.max_in_flight:
            under_way.append(fleet.submit(batch_of(1)))

    clock.every(0.001, 20, feed)
    clock.run(20)
    counts = {name: len(engine.batches) for name, engine in engines.items()}
    # Much less where the fast one is done with all that is under way before the slow one with one.
    assert counts["fast"] / counts["slow"] > 0.8 * slower
    assert counts["fast"] > 0.9 * 20 / 0.01  # and never waits for it


def unequal(clock: Clock) -> tuple[Fleet, dict[str, ActingEngine]]:
    """A fleet of two engines of which one is three times as fast, each with one batch behind it."""
    fleet = fleet_on(clock)
    engines = {
        name: ActingEngine(clock, always(Deed(seconds=seconds)), is_serial=True)
        for name, seconds in {"fast": 0.01, "slow": 0.03}.items()
    }
    for name, engine in engines.items():
        fleet.join(name, engine)
        fleet.submit(batch_of(1))
    clock.run(1)
    return fleet, engines


def test_two_of_unequal_speed_compute_three_to_one_and_together_what_both_can():
    clock = Clock()
    fleet, engines = unequal(clock)
    before = {name: len(engine.batches) for name, engine in engines.items()}
    under_way = []

    def feed() -> None:
        under_way[:] = [answer for answer in under_way if not answer.done()]
        while len(under_way) < fleet.info.max_in_flight:
            under_way.append(fleet.submit(batch_of(1)))

    clock.every(0.001, clock.now + 30, feed)
    clock.run(clock.now + 30)
    fast, slow = (len(engines[name].batches) - before[name] for name in ("fast", "slow"))
    assert fast / slow == pytest.approx(3, rel=0.1)
    assert fast + slow > 0.9 * (30 / 0.01 + 30 / 0.03)


@pytest.mark.parametrize("pause", [0.1, 5, 17, 29], ids="pause={}s".format)
def test_what_comes_alone_goes_to_the_fast_one_however_long_nothing_came(pause):
    clock = Clock()
    fleet, engines = unequal(clock)
    slow = len(engines["slow"].batches)
    for _ in range(3):
        clock.run(clock.now + pause / 3)
        answer = fleet.submit(batch_of(2))
        clock.run(clock.now + 0.0101)
        assert answer.done()
    assert len(engines["slow"].batches) == slow


def test_a_slow_one_is_tried_once_in_a_while_even_if_nothing_waits():
    clock = Clock()
    fleet, engines = unequal(clock)
    slow = len(engines["slow"].batches)
    for _ in range(120):
        clock.run(clock.now + 1)
        fleet.submit(batch_of(2))
    assert slow < len(engines["slow"].batches) <= slow + 3


def test_a_member_that_was_slow_once_is_tried_again():
    clock = Clock()
    fleet, engines = joined(
        clock, a=chain([Deed(seconds=0.5)], always(SOUND)), b=always(Deed(seconds=0.01))
    )
    clock.every(0.02, 120, lambda: [fleet.submit(batch_of(n)) for n in range(3)])
    clock.run(120)
    assert len(engines["a"].batches) > 100


def test_members_compute_side_by_side_what_comes_at_once():
    clock = Clock()
    fleet, engines = joined(clock, **{name: always(SOUND) for name in "abcd"})
    for n in range(8):
        fleet.submit(batch_of(n))
    assert [len(engine.batches) for engine in engines.values()] == [2, 2, 2, 2]


def test_a_cancelled_batch_leaves_a_member_that_can_be_told_so():
    class Distant(ActingEngine):
        terms: BatchTerms

        def submit_on(self, batch: TokenBatch, terms: BatchTerms):
            self.terms = terms
            return self.submit(batch)

    clock = Clock()
    fleet = fleet_on(clock)
    engine = Distant(clock, always(HANGS))
    fleet.join("a", engine)
    terms = BatchTerms(Urgency.QUERY, end=5.0)
    answer = fleet.submit_on(batch_of(1), terms)
    assert engine.terms == terms
    assert answer.cancel()
    assert engine.futures[0].cancelled()
    assert fleet.members[0].num_held == 0


def test_a_cancelled_batch_stays_with_a_member_that_computes_it_all_the_same():
    clock = Clock()
    fleet, _ = joined(clock, a=always(Deed(seconds=1)))
    assert fleet.submit(batch_of(1)).cancel()
    assert fleet.members[0].num_held == 1
    run(fleet, clock, 2)
    assert fleet.members[0].num_held == 0


def test_nothing_is_given_on_after_its_end():
    clock = Clock()
    fleet, engines = joined(
        clock, a=always(Deed(seconds=1, error=DeviceError("lost"))), b=always(SOUND)
    )
    answer = fleet.submit_on(batch_of(1), BatchTerms(end=0.5))
    run(fleet, clock, 2)
    assert answer.exception() is not None
    assert sum(len(engine.batches) for engine in engines.values()) == 1


def test_a_member_that_leaves_and_hangs_owes_its_batches_to_the_others():
    clock = Clock()
    fleet, _ = joined(clock, a=always(HANGS))
    answer = fleet.submit(batch_of(1))
    fleet.leave("a")
    fleet.join("b", ActingEngine(clock, always(SOUND)))
    run(fleet, clock, 12)
    assert answer.result(0).tolist() == [1]
