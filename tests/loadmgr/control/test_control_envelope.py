"""Step functions of the highest current, and not knowing better."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from loadmgr.control.safety.envelope import Envelope, at_least, constant, from_points, highest, widened

points = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 32)), min_size=1, max_size=6, unique_by=lambda p: p[0])
envelopes = points.map(lambda ps: from_points([(float(s), float(a)) for s, a in sorted(ps)]))


def test_equal_neighbours_are_merged():
    assert Envelope((0.0, 9.0), (6.0, 8.0)) == from_points([(0.0, 6.0), (5.0, 6.0), (9.0, 8.0)])


def test_a_value_holds_before_its_start_and_after_the_last_one():
    envelope = from_points([(10.0, 6.0), (20.0, 16.0)])

    assert [6.0, 6.0, 16.0, 16.0] == [envelope.at(s) for s in (0.0, 19.9, 20.0, 1e9)]


def test_a_lease_that_ends_is_believed_longer_and_what_follows_sooner():
    fall = widened(from_points([(0.0, 32.0), (100.0, 6.0)]), early_s=60.0, late_s=70.0)
    rise = widened(from_points([(0.0, 0.0), (100.0, 6.0)]), early_s=60.0, late_s=70.0)

    assert Envelope((0.0, 170.0), (32.0, 6.0)) == fall
    assert Envelope((0.0, 40.0), (0.0, 6.0)) == rise


def test_an_old_limit_counts_until_it_has_settled_or_for_ever():
    held = constant(6.0)

    assert [32.0, 6.0] == [at_least(held, 32.0, until_s=10.0).at(s) for s in (9.9, 10.0)]
    assert 32.0 == at_least(held, 32.0, until_s=None).at(1e9)


@given(envelopes, st.integers(0, 30), st.integers(0, 30))
def test_widening_is_the_maximum_over_every_clock_within_the_skew(envelope, early, late):
    wide = widened(envelope, early_s=float(early), late_s=float(late))

    for at in range(-40, 150):
        moved = range(at - late + (1 if late else 0), at + early + 1)
        assert max(envelope.at(float(s)) for s in (*moved, at)) <= wide.at(float(at))


@given(st.lists(envelopes, min_size=1, max_size=4))
def test_the_highest_of_several_is_their_maximum_everywhere(several):
    top = highest(several)

    assert all(max(e.at(float(s)) for e in several) == top.at(float(s)) for s in range(-5, 110))
    assert all(a < b for a, b in itertools.pairwise(top.starts_s))


@given(envelopes, st.integers(-10, 110), st.integers(0, 50))
def test_the_maximum_over_a_span_is_that_of_its_instants(envelope, start, length):
    expected = max(envelope.at(float(s)) for s in range(start, start + length + 1))

    assert expected == envelope.over(float(start), float(start + length))
