"""The runbook has a row for everything that people may be told of."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml

from nightglass.collection_alerts import AlertKind

REPOSITORY = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|")
][2:]
ALERTING = REPOSITORY / "include" / "nightglass" / "alerting"
RULES = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))
PROMETHEUS = [rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]


def fixed_words(node: ast.expr) -> Iterator[str]:
    """The parts of a text that do not depend on what it is about, up to a bracket."""
    if isinstance(node, ast.IfExp):
        yield from fixed_words(node.body)
        yield from fixed_words(node.orelse)
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        whole = "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        yield from whole.partition("(")[0].split("\0")


def headlines() -> set[str]:
    """The fixed words of every alert's headline."""
    found = set()
    for file in ALERTING.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "headline":
                found |= {text.strip(" ,:") for text in fixed_words(node.value)}
    return {text for text in found if text}


def test_every_row_says_symptom_cause_and_fix() -> None:
    assert len(ROWS) > 60
    assert [row for row in ROWS if len(row) != 3 or not all(row)] == []
    symptoms = [row[0] for row in ROWS]
    assert sorted({name for name in symptoms if symptoms.count(name) > 1}) == []


@pytest.mark.parametrize("kind", get_args(AlertKind))
def test_every_kind_of_alert_has_a_row(kind: str) -> None:
    assert [row for row in ROWS if row[0].startswith(f"alert `{kind}`")], f"docs/runbook.md: no row for alert `{kind}`"


def test_every_headline_of_an_alert_is_in_a_row() -> None:
    symptoms = "\n".join(row[0] for row in ROWS)
    known = headlines()
    assert len(known) >= 8, known
    # A test of the addresses and the end of a trouble need nothing to be done.
    quiet = {"a test", "answers again"}
    assert {text for text in known - quiet if text not in symptoms} == set()


@pytest.mark.parametrize("name", PROMETHEUS)
def test_every_alert_of_prometheus_has_a_row(name: str) -> None:
    assert [row for row in ROWS if row[0] == f"alert `{name}`"], f"docs/runbook.md: no row for alert `{name}`"


def test_no_row_is_about_an_alert_that_there_is_not() -> None:
    named = {match[1] for row in ROWS if (match := re.match(r"alert `([^`]+)`", row[0]))}
    assert named - set(get_args(AlertKind)) - set(PROMETHEUS) == set()


def test_what_it_links_to_is_there() -> None:
    text = (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([\w.-]+\.md)", text):
        assert (REPOSITORY / "docs" / link).exists(), link
