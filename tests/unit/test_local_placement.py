"""Who gets which node: order, room, and that nobody waits for ever."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobman.local.fit import Demand, NodeRoom
from jobman.local.placement import OVERTAKEN_MOST, PATIENCE_S, Board


class World:
    """A board, and shorthand for what happens on it."""

    def __init__(self, *nodes: tuple[str, dict[str, int]]) -> None:
        self.board = Board()
        self.now = 0.0
        self.where: dict[str, str] = {}
        for name, amounts in nodes:
            self.add_node(name, amounts)

    def add_node(self, name: str, amounts: dict[str, int], **more: Any) -> None:
        allocatable = {"pods": 100, **amounts}
        self.board.set_node(NodeRoom(name, {}, (), False, allocatable, **more))

    def submit(self, uid: str, *, priority: int = 0, **requests: int) -> None:
        key = tuple(sorted(requests.items()))
        demand = Demand(requests={**requests, "pods": 1})
        kind = self.board.kind(key) or self.board.new_kind(key, demand)
        created = f"{self.now:020.3f}"
        self.board.enqueue("ns", uid, uid, kind, priority=priority, created=created, since=self.now)

    def place(self) -> list[str]:
        """All that can be placed now, in the order in which it is."""
        placed = []
        while (found := self.board.next(self.now)) is not None:
            pod, node = found
            self.board.occupy(pod.uid, node, pod.kind.demand.requests)
            self.where[pod.uid] = node
            placed.append(pod.uid)
        return placed

    def end(self, uid: str) -> list[str]:
        del self.where[uid]
        self.board.vacate(uid)
        return self.place()


def test_first_come_first_served() -> None:
    world = World(("n", {"gpu": 1}))
    for uid in ("a", "b", "c"):
        world.submit(uid, gpu=1)
    assert world.place() == ["a"]
    assert world.end("a") == ["b"]
    assert world.end("b") == ["c"]


def test_priority_comes_first() -> None:
    world = World(("n", {"gpu": 1}))
    world.submit("low", gpu=1)
    world.submit("high", gpu=1, priority=10)
    assert world.place() == ["high"]


def test_one_that_does_not_fit_lets_others_past() -> None:
    world = World(("n", {"gpu": 4}))
    world.submit("running", gpu=2)
    world.place()
    world.submit("big", gpu=4)
    world.submit("small", gpu=1)
    assert world.place() == ["small"]


def test_different_kinds_keep_the_order_among_each_other() -> None:
    world = World(("n", {"gpu": 2, "cpu": 2}))
    world.submit("a", gpu=1)
    world.submit("b", cpu=1)
    world.submit("c", gpu=1)
    world.submit("d", cpu=1, gpu=1)
    assert world.place() == ["a", "b", "c"]


def test_pods_are_spread() -> None:
    world = World(("a", {"cpu": 4}), ("b", {"cpu": 4}))
    for number in range(4):
        world.submit(str(number), cpu=1)
    world.place()
    assert sorted(world.where.values()) == ["a", "a", "b", "b"]


def test_a_node_that_comes_or_grows_is_used() -> None:
    world = World()
    world.submit("a", gpu=2)
    assert world.place() == []
    world.add_node("n", {"gpu": 1})
    assert world.place() == []
    world.add_node("n", {"gpu": 2})
    assert world.place() == ["a"]


def test_a_node_that_goes_is_not_used() -> None:
    world = World(("n", {"gpu": 2}))
    world.board.remove_node("n")
    world.submit("a", gpu=1)
    assert world.place() == []


def test_pods_of_a_node_that_comes_back_are_still_counted() -> None:
    world = World(("n", {"gpu": 2}))
    world.submit("a", gpu=2)
    world.place()
    world.board.remove_node("n")
    world.add_node("n", {"gpu": 2})
    world.submit("b", gpu=1)
    assert world.place() == []
    assert world.end("a") == ["b"]


def test_withdrawn_pods_are_forgotten() -> None:
    world = World(("n", {"gpu": 1}))
    for uid in ("a", "b"):
        world.submit(uid, gpu=1)
    world.board.withdraw("a")
    assert world.place() == ["b"]


class TestReservation:
    def overtake(self, world: World, times: int) -> None:
        """Small pods come and go, one always running."""
        for number in range(times):
            world.submit(f"s{number + 1}", gpu=1)
            world.now += 1
            world.place()
            if f"s{number}" in world.where:
                world.end(f"s{number}")

    def test_small_pods_do_not_starve_a_big_one(self) -> None:
        world = World(("n", {"gpu": 2}))
        world.submit("s0", gpu=1)
        world.place()
        world.submit("big", gpu=2)
        self.overtake(world, 3 * OVERTAKEN_MOST)
        assert "big" in world.where
        assert world.now < 3 * OVERTAKEN_MOST + 1

    def test_patience_has_an_end_in_time_too(self) -> None:
        world = World(("n", {"gpu": 2}))
        world.submit("first", gpu=1)
        world.place()
        world.submit("big", gpu=2)
        world.place()
        world.now = PATIENCE_S - 1
        world.submit("early", gpu=1)
        assert world.place() == ["early"]
        world.end("early")
        world.now = PATIENCE_S
        world.submit("late", gpu=1)
        assert world.place() == []
        assert world.end("first") == ["big"]
        assert world.end("big") == ["late"]

    def test_what_does_not_compete_may_still_pass(self) -> None:
        world = World(("n", {"gpu": 2, "cpu": 8}))
        world.submit("first", gpu=1)
        world.place()
        world.submit("big", gpu=2, cpu=2)
        world.now = PATIENCE_S
        world.submit("cpu", cpu=6)
        assert world.place() == ["cpu"]
        world.submit("more", cpu=1)
        assert world.place() == []

    def test_only_one_node_is_kept_free(self) -> None:
        world = World(("a", {"gpu": 2}), ("b", {"gpu": 2}))
        for uid in ("one", "two", "three"):
            world.submit(uid, gpu=1)
        world.place()
        world.submit("big", gpu=2)
        world.now = PATIENCE_S
        for uid in ("four", "five", "six"):
            world.submit(uid, gpu=1)
        world.place()
        free = [uid for uid in ("one", "two", "three") if world.where[uid] == "a"]
        assert len(free) == 2  # "a" got the first and the third
        assert world.end("two") == ["big"]

    def test_those_in_front_are_not_held_up(self) -> None:
        world = World(("n", {"gpu": 2}))
        world.submit("first", gpu=1)
        world.place()
        world.submit("big", gpu=2)
        world.now = PATIENCE_S
        world.submit("urgent", gpu=1, priority=5)
        assert world.place() == ["urgent"]

    def test_what_fits_nowhere_holds_up_nobody(self) -> None:
        world = World(("n", {"gpu": 2}))
        world.submit("impossible", gpu=3)
        world.now = PATIENCE_S
        world.submit("small", gpu=1)
        assert world.place() == ["small"]

    def test_it_is_known_when_the_next_has_waited_long_enough(self) -> None:
        world = World(("n", {"gpu": 2}))
        world.submit("first", gpu=1)
        world.place()
        assert world.board.next_reservation_at() is None
        world.now = 5
        world.submit("big", gpu=2)
        world.submit("impossible", gpu=3)
        world.place()
        assert world.board.next_reservation_at() == 5 + PATIENCE_S
        assert world.board.reservations() == {}
        world.now = 5 + PATIENCE_S
        world.place()
        assert {uid: node for uid, (_, node) in world.board.reservations().items()} == {"big": "n"}
        assert world.board.next_reservation_at() is None

    def test_a_reservation_ends_with_its_holder(self) -> None:
        world = World(("n", {"gpu": 2}))
        world.submit("first", gpu=1)
        world.place()
        world.submit("big", gpu=2)
        world.now = PATIENCE_S
        world.submit("small", gpu=1)
        assert world.place() == []
        world.board.withdraw("big")
        assert world.place() == ["small"]


AMOUNTS = st.fixed_dictionaries({"cpu": st.integers(0, 4), "gpu": st.integers(0, 3)})
NODES = st.lists(
    st.fixed_dictionaries({"cpu": st.integers(0, 8), "gpu": st.integers(0, 4)}),
    min_size=1,
    max_size=4,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), AMOUNTS, st.integers(0, 2)),
        st.tuples(st.just("end"), st.integers(0, 100), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 40), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(NODES, STEPS)
def test_never_more_than_there_is_and_everyone_gets_a_turn(
    nodes: list[dict[str, int]], steps: list[Any]
) -> None:
    world = World(*((f"n{i}", amounts) for i, amounts in enumerate(nodes)))
    asked: dict[str, dict[str, int]] = {}
    for number, (what, value, priority) in enumerate(steps):
        if what == "submit":
            uid = f"p{number}"
            asked[uid] = value
            world.submit(uid, priority=priority, **value)
            world.place()
        elif what == "end" and world.where:
            world.end(sorted(world.where)[value % len(world.where)])
        elif what == "wait":
            world.now += value
        for i, amounts in enumerate(nodes):
            here = [asked[uid] for uid, name in world.where.items() if name == f"n{i}"]
            for resource, there in amounts.items():
                assert sum(pod[resource] for pod in here) <= there
    served = set(world.where)
    for _ in range(len(asked)):
        for uid in sorted(world.where):
            served.update(world.end(uid))
    possible = {
        uid
        for uid, pod in asked.items()
        if any(all(pod[r] <= amounts[r] for r in pod) for amounts in nodes)
    }
    waiting = {uid for uid in asked if world.board.waiting(uid) is not None}
    assert not (waiting & possible)


@settings(max_examples=100)
@given(st.lists(st.integers(1, 3), min_size=2, max_size=30), st.integers(1, 4))
def test_equal_pods_go_in_the_order_in_which_they_came(sizes: list[int], room: int) -> None:
    world = World(("n", {"gpu": room}))
    for number, size in enumerate(sizes):
        world.submit(f"{number:03d}", gpu=size)
    order = world.place()
    while world.where:
        order += world.end(min(world.where))
    for size in set(sizes):
        same = [uid for uid in order if sizes[int(uid)] == size]
        assert same == sorted(same)


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(1, 3), st.randoms(use_true_random=False))
def test_a_stream_of_small_pods_never_starves_a_big_one(room: int, small: int, chance: Any) -> None:
    """A node full of small pods that end at random, and each is at once followed by another."""
    small = min(small, room - 1)
    world = World(("n", {"gpu": room}))
    for number in range(room):
        world.submit(f"s{number}", gpu=small)
    world.place()
    world.submit("big", gpu=room)
    bound = 40 + 4 * room
    for number in range(bound):
        if "big" in world.where:
            break
        world.submit(f"t{number}", gpu=small)
        world.place()
        world.now += 1
        world.end(chance.choice(sorted(world.where)))
    assert "big" in world.where
