"""What is kept in memory stays within its bytes, and is loaded once however many ask."""

import threading
import time
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


def test_what_is_being_loaded_stays_within_the_room_and_never_goes():
    shelf, lock, loading, most = Shelf(100), threading.Lock(), [0], [0]

    def load(size):
        with lock:
            loading[0] += size
            most[0] = max(most[0], loading[0])
        time.sleep(0.02)
        with lock:
            loading[0] -= size
        return size

    with ThreadPoolExecutor(8) as pool:
        sizes = [60, 50, 100, 30, 30, 30, 90, 10] * 3
        asked = [
            pool.submit(shelf.get, number, size, lambda size=size: load(size)) for number, size in enumerate(sizes)
        ]
        assert [future.result(timeout=30) for future in asked] == sizes
    assert 0 < most[0] <= 100
    assert shelf.kept_bytes <= 100


def test_whoever_waits_for_room_gets_it_when_a_load_fails():
    shelf, started, go = Shelf(100), threading.Event(), threading.Event()

    def fail():
        started.set()
        go.wait()
        raise ZeroDivisionError

    with ThreadPoolExecutor(3) as pool:
        failing = pool.submit(shelf.get, "a", 80, fail)
        started.wait()
        same, other = pool.submit(shelf.get, "a", 80, lambda: 1), pool.submit(shelf.get, "b", 80, lambda: 2)
        go.set()
        assert isinstance(failing.exception(timeout=30), ZeroDivisionError)
        assert (same.result(timeout=30), other.result(timeout=30)) == (1, 2)
    assert shelf.kept_bytes == 80
