"""What is kept in memory stays within its bytes, and is loaded once however many ask."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nightglass.similar.shelf import Shelf


def test_the_least_recently_used_goes_first():
    shelf, loads = Shelf(100), []

    def get(key, size=40):
        return shelf.get(key, size, lambda: loads.append(key) or key.upper())

    assert [get("a"), get("b"), get("a"), get("c"), get("a"), get("b")] == ["A", "B", "A", "C", "A", "B"]
    assert loads == ["a", "b", "c", "b"]
    assert shelf.kept_bytes == 80


def test_what_is_larger_than_the_shelf_is_loaded_each_time_and_pushes_nothing_out():
    shelf, loads = Shelf(100), []
    shelf.get("small", 100, lambda: 1)
    for _ in range(2):
        assert shelf.get("large", 101, lambda: loads.append(1) or 2) == 2
    assert shelf.get("small", 100, lambda: pytest.fail("it was pushed out")) == 1
    assert len(loads) == 2


def test_what_fails_is_not_kept():
    shelf = Shelf(100)
    with pytest.raises(ZeroDivisionError):
        shelf.get("a", 60, lambda: 1 / 0)
    assert shelf.kept_bytes == 0
    assert shelf.get("a", 60, lambda: 5) == 5


def test_many_threads_load_once():
    shelf, loads, started = Shelf(100), [], threading.Barrier(8)

    def load():
        loads.append(1)
        return "value"

    def ask():
        started.wait()
        return shelf.get("a", 10, load)

    with ThreadPoolExecutor(8) as pool:
        assert [future.result() for future in [pool.submit(ask) for _ in range(8)]] == ["value"] * 8
    assert len(loads) == 1
