"""Where words go in a figure so that they cover nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thinkctl.evals.figures.placing import Box, along, emptiest_corner, first_free


def test_the_box_goes_where_it_covers_least():
    inside = Box(0, 0, 100, 100)
    rising = along([(0, 0), (100, 100)])
    corner, covers = emptiest_corner(inside, 30, 30, rising)
    assert (corner.left, corner.bottom, covers) == (62, 8, 0)
    falling = along([(0, 100), (100, 0)])
    corner, covers = emptiest_corner(inside, 30, 30, [*rising, *along([(60, 10), (95, 10)])])
    assert (corner.left, corner.top, covers) == (8, 92, 0)
    assert emptiest_corner(inside, 30, 30, [*falling, *rising])[1] > 0


corners = st.tuples(*[st.integers(0, 40)] * 4).map(
    lambda at: Box(min(at[0], at[1]), min(at[2], at[3]), max(at[0], at[1]) + 1, max(at[2], at[3]) + 1)
)


@given(st.lists(corners, max_size=6), st.lists(corners, max_size=6))
def test_a_label_covers_nothing_that_is_taken(tried, taken):
    found = first_free(tried, taken, Box(0, 0, 30, 30))
    fits = [box for box in tried if box.within(Box(0, 0, 30, 30)) and not any(map(box.meets, taken))]
    assert found == (fits[0] if fits else None)


@given(corners, corners)
def test_boxes_meet_where_they_share_a_place(one, other):
    inside = {
        (x, y)
        for x in range(42)
        for y in range(42)
        if one.left <= x < one.right and one.bottom <= y < one.top
    }
    assert one.meets(other) == any(
        other.left <= x < other.right and other.bottom <= y < other.top for x, y in inside
    )
