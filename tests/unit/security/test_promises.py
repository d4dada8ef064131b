"""docs/security.md: every promise names the tests that prove it, and every test that it names exists."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PROMISE = re.compile(r"^\| (?P<number>P\d+) \| (?P<promise>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)
TEXT = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
PROMISES = [(found["number"], re.findall(r"`([^`]+)`", found["tests"])) for found in PROMISE.finditer(TEXT)]


def test_promises_are_numbered_and_each_names_a_test() -> None:
    assert [number for number, _ in PROMISES] == [f"P{number}" for number in range(1, len(PROMISES) + 1)]
    assert len(PROMISES) >= 32
    assert len(re.findall(r"^\| \*{0,2}P\d", TEXT, re.MULTILINE)) == len(PROMISES)
    assert all(tests for _, tests in PROMISES)


@pytest.mark.parametrize(("number", "tests"), PROMISES, ids=[number for number, _ in PROMISES])
def test_every_test_that_a_promise_names_exists(number: str, tests: list[str]) -> None:
    for test in tests:
        file, _, name = test.partition("::")
        assert (REPOSITORY / file).is_file(), f"{number}: {file}"
        tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        named = [function for function in functions if function.name == name]
        assert named, f"{number}: {test}"
        assert "skip" not in " ".join(ast.unparse(mark) for mark in named[0].decorator_list), f"{number}: {test}"


def test_other_promises_that_the_text_mentions_are_there() -> None:
    numbers = {number for number, _ in PROMISES}
    assert set(re.findall(r"\bP\d+\b", TEXT)) == numbers
