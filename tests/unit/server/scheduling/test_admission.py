import pytest

from twopass.server.scheduling.admission import Admission, Places


@pytest.fixture
def places():
    return Places()


def test_places_are_taken_at_once_and_given_back_at_the_end_of_the_block(places):
    admission = Admission(places, 3, 1.5)
    assert places == Places(num_pairs=3, seconds_arriving=1.5)
    with admission:
        assert places == Places(num_pairs=3, seconds_arriving=1.5)
    assert places == Places()


def test_what_has_arrived_holds_its_places_until_the_end(places):
    with Admission(places, 3, 1.5) as admission, Admission(places, 4, 0.5):
        admission.arrived()
        assert places == Places(num_pairs=7, seconds_arriving=0.5)
    assert places == Places()


def test_places_are_given_back_once(places):
    with Admission(places, 5, 1.0):
        with Admission(places, 3, 1.5) as admission:
            admission.release()
        assert places == Places(num_pairs=5, seconds_arriving=1.0)


def test_places_are_given_back_whatever_is_raised(places):
    with pytest.raises(ZeroDivisionError), Admission(places, 3, 1.5):
        raise ZeroDivisionError
    assert places == Places()


def test_the_surplus_of_places_is_released_with_its_time(places):
    with Admission(places, 8, 4.0) as admission:
        admission.shrink(2)
        assert places == Places(num_pairs=2, seconds_arriving=1.0)
        admission.shrink(5)  # it has no more
        assert places == Places(num_pairs=2, seconds_arriving=1.0)
        admission.arrived()
        admission.shrink(0)
        assert places == Places()
    assert places == Places()
