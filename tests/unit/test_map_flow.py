"""How many pods at a time: the adapting bound, refusals waited out, the breaker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.map import flow
from jobman.map.flow import Breaker, Ceiling, Hold, Patience, PendingBound, room


@pytest.mark.parametrize(
    ("pending", "running", "bound", "max_running", "expected"),
    [
        pytest.param(0, 0, 16, 100, 16, id="nothing yet"),
        pytest.param(16, 0, 16, 100, 0, id="all that may wait do"),
        pytest.param(20, 0, 16, 100, 0, id="adopted ones may be more"),
        pytest.param(3, 95, 16, 100, 2, id="each that waits may run next"),
        pytest.param(0, 100, 16, 100, 0, id="as many run as may"),
        pytest.param(0, 50, 1, 100, 1, id="one at a time"),
    ],
)
def test_room(pending: int, running: int, bound: int, max_running: int, expected: int) -> None:
    assert room(pending, running, bound=bound, max_running=max_running) == expected


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 200), st.integers(1, 200))
def test_room_never_oversteps(pending: int, running: int, bound: int, most: int) -> None:
    more = room(pending, running, bound=bound, max_running=most)
    assert more >= 0
    if more:
        assert pending + more <= bound
        assert pending + running + more <= most


Step = tuple[str, float, float]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([], flow.FIRST, id="at first"),
        pytest.param([("started", 1.0, 16)] * 16, 32, id="a quick round doubles it"),
        pytest.param([("started", 1.0, 3)] * 16, 16, id="idle room is no reason to grow"),
        pytest.param([("started", 6.0, 16)] * 16, 16, id="a slow start is none either"),
        pytest.param([("look", 31.0, 100.0)], 8, id="a pod that waits halves it"),
        pytest.param([("look", 29.0, 100.0)], 16, id="not at once"),
        pytest.param([("look", 31, 100), ("look", 36, 105)], 8, id="once in a while"),
        pytest.param([("look", 31, 100), ("look", 61, 130)], 4, id="and again"),
        pytest.param([("look", 99, t * 40.0) for t in range(9)], flow.FEWEST, id="not to nothing"),
        pytest.param([("started", 0, 9999)] * 2000, flow.MOST, id="not for ever"),
    ],
)
def test_the_bound_adapts(steps: list[Step], expected: int) -> None:
    bound = PendingBound()
    for what, first, second in steps:
        if what == "started":
            bound.started(first, int(second))
        else:
            bound.look(first, second)
    assert bound.value == expected


def test_a_bound_that_was_given_stays() -> None:
    bound = PendingBound(3)
    bound.started(0.1, 3)
    bound.look(1000.0, 1000.0)
    assert bound.value == 3


def test_a_hold_doubles_and_ends_with_a_success() -> None:
    hold = Hold()
    now, pauses = 100.0, []
    for _ in range(7):
        hold.failed("busy", now)
        hold.failed("busy, of the same moment", now)
        pauses.append(hold.until - now)
        assert hold.probing
        now = hold.until
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    hold.accepted(now - 1)  # begun before the trouble, it says nothing of its end
    assert (hold.probing, hold.reason) == (True, "busy")
    hold.accepted(now)
    assert (hold.probing, hold.reason) == (False, "")
    hold.failed("busy", now)
    assert hold.until - now == 1


def test_a_ceiling_is_kept_and_tried_now_and_then() -> None:
    ceiling = Ceiling()
    assert ceiling.room(40, 0.0) == flow.MOST
    ceiling.refused("exceeded quota", 5, 10.0)
    assert [ceiling.room(5, 10.5), ceiling.room(4, 10.5)] == [0, 1]
    assert ceiling.room(5, 11.0) == 1
    ceiling.refused("exceeded quota", 5, 11.0)
    assert [ceiling.room(5, 12.9), ceiling.room(5, 13.0)] == [0, 1]


def test_a_ceiling_that_was_lifted_goes_away() -> None:
    ceiling = Ceiling()
    ceiling.refused("exceeded quota", 5, 0.0)
    pods, grown = 5, []
    while ceiling.reason:
        more = ceiling.room(pods, 100.0)
        grown.append(more)
        pods += more
        ceiling.accepted(pods)
    assert grown == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert ceiling.room(pods, 100.0) == flow.MOST


def test_refusals_of_one_moment_count_once() -> None:
    ceiling = Ceiling()
    for left in (9, 8, 7, 6):
        ceiling.refused("exceeded quota", left, 10.0)
    assert ceiling.room(6, 10.9) == 0
    assert ceiling.room(6, 11.0) == 1


@pytest.mark.parametrize(
    ("causes", "keep_going", "expected"),
    [
        pytest.param(["a"] * 9, False, False, id="nine may be chance"),
        pytest.param(["a"] * 10, False, True, id="ten are not"),
        pytest.param(["a"] * 9 + ["b"] + ["a"] * 9, False, False, id="another between them"),
        pytest.param(["", *["a"] * 30], False, False, id="one has succeeded"),
        pytest.param(["a"] * 5 + [""] + ["a"] * 10, False, False, id="also meanwhile"),
        pytest.param(["a"] * 30, True, False, id="going on was asked for"),
    ],
)
def test_the_breaker(causes: list[str], keep_going: bool, expected: bool) -> None:
    breaker = Breaker(enabled=not keep_going)
    for cause in causes:
        if cause:
            breaker.failed(cause)
        else:
            breaker.succeeded()
    assert breaker.open is expected


@pytest.mark.parametrize(
    ("failures", "pauses"),
    [
        pytest.param(
            [(0, False), (1, False), (2, False), (9, False), (10, False), (11, False)],
            [0.5, 1.0, 2.0, 4.0, 8.0, None],
            id="it runs out",
        ),
        pytest.param(
            [(0, False), (9, True), (999, True), (1000, False), (1010, False), (1011, False)],
            [0.5, 1.0, 2.0, 4.0, 8.0, None],
            id="an absent server does not use it up",
        ),
        pytest.param([(at, True) for at in range(7)], [0.5, 1, 2, 4, 8, 15, 15], id="the longest"),
    ],
)
def test_patience(failures: list[tuple[float, bool]], pauses: list[float | None]) -> None:
    patience = Patience(10.0)
    assert [patience.pause_s(now, absent=absent) for now, absent in failures] == pauses
