"""The crash tester's memory of metadata that was changed in place."""

from .touches import Touches


def touched(touches, **versions):
    number = touches.begin(versions)
    touches.acknowledge(number)
    return number


def test_a_document_must_show_the_last_touch_that_was_acknowledged():
    touches = Touches()
    first, last = touched(touches, a=1), touched(touches, a=1)
    assert not touches.compare({("a", 1): last})
    assert touches.compare({("a", 1): first})
    assert touches.compare({("a", 1): None})


def test_a_replaced_document_shows_no_touch():
    touches = Touches()
    number = touched(touches, a=1)
    assert not touches.compare({("a", 2): None})
    assert touches.compare({("a", 2): number})


def test_a_touch_never_heard_of_was_done_whole_or_not_at_all():
    touches = Touches()
    before = touched(touches, a=1, b=1)
    number = touches.begin({"a": 1, "b": 1})
    assert not touches.compare({("a", 1): number, ("b", 1): number})
    assert not touches.compare({("a", 1): before, ("b", 1): before})
    assert touches.compare({("a", 1): number, ("b", 1): before})


def test_what_was_found_after_a_crash_must_stay():
    touches = Touches()
    number = touches.begin({"a": 1, "b": 1})
    touches.settle({("a", 1): number, ("b", 1): None})
    assert not touches.compare({("a", 1): number, ("b", 1): None})
    assert touches.compare({("a", 1): None, ("b", 1): number})
