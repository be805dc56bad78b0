"""Orders are random, the same after a restart, and hide nothing and show everything."""

from collections import Counter

from semanticodec.listening.order import presentations
from semanticodec.listening.plan import ABX, MUSHRA, Condition, Page, Plan

NAMES = ("reference", "low", "one", "two")


def plan(mode=MUSHRA, pages=5):
    names = NAMES if mode == MUSHRA else NAMES[2:]
    roles = {"reference": "reference", "low": "anchor"}
    conditions = tuple(Condition(name=name, role=roles.get(name, "system")) for name in names)
    sounds = {name: f"audio/{name}.wav" for name in names}
    listed = tuple(Page(clip=str(i), domain="all", sounds=sounds) for i in range(pages))
    return Plan(title="", mode=mode, seed=0, duration_s=10, conditions=conditions, pages=listed)


def test_every_listener_meets_every_page_and_sound_once_training_first():
    for listener in ("a", "b", "c"):
        shown = presentations(plan(), listener)
        assert shown == presentations(plan(), listener)
        assert shown[0].page == 0
        assert sorted(item.page for item in shown) == [0, 1, 2, 3, 4]
        assert all(sorted(item.slots) == sorted(NAMES) for item in shown)
        assert {item.given for item in shown} == {"reference"}


def test_all_orders_are_equally_likely():
    shown = [presentations(plan(), str(index)) for index in range(1200)]
    orders = Counter(tuple(item.page for item in pages[1:]) for pages in shown)
    assert len(orders) == 24
    assert max(orders.values()) < 2 * 1200 / 24
    places = Counter(pages[1].slots.index("reference") for pages in shown)
    assert sorted(places) == [0, 1, 2, 3]
    assert all(225 < count < 375 for count in places.values())
    # The order of sounds follows from the page: pages do not share one.
    assert len({item.slots for item in shown[0]}) > 1


def test_x_is_either_sound_as_often():
    found = Counter(
        item.given for index in range(200) for item in presentations(plan(ABX), str(index))
    )
    assert set(found) == {"one", "two"}
    assert min(found.values()) > 430
    assert all(item.slots == ("one", "two") for item in presentations(plan(ABX), "a"))
