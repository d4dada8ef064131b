"""What pages keep takes no more room than it may, whatever it is."""

from nightglass.pages.kept import Kept


def test_things_without_any_bytes_go_too():
    kept = Kept(100_000)
    for number in range(5000):
        kept.keep(number, {}, 0)
    assert kept.find(0) is None
    assert kept.find(4999) == {}
    assert sum(kept.find(number) is not None for number in range(5000)) < 1000


def test_what_is_larger_than_the_room_is_not_kept_and_pushes_nothing_out():
    kept = Kept(1000)
    kept.keep("a", "small", 10)
    kept.keep("b", "large", 1001)
    assert (kept.find("a"), kept.find("b")) == ("small", None)
