"""The expectations on a night's data, in the words of Great Expectations and in those of a person."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from nightglass.collection_limits import Severity, Validation
from nightglass.night.manifest_facts import ManifestFacts
from nightglass.night.wording import percent, share_of

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

Table = Literal["figures", "format", "mode", "width", "height", "brightness"]

_SHOWN_VALUES = 3
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Check:
    """One expectation: what Great Expectations evaluates, on which table, and how a person reads it.

    ``figures`` is one row about the whole night; the others are the tables of ``ManifestFacts.values``.
    """

    name: str
    severity: Severity
    table: Table
    expectation: "Expectation"
    expected: str
    observe: Callable[[Mapping[str, Any]], str]


def list_checks(options: Validation, facts: ManifestFacts, usual_count: float | None) -> list[Check]:
    """Return every expectation on the night's ``facts``, in the order in which a person reads them."""
    return [
        *_count_checks(options, facts, usual_count),
        *_identity_checks(facts),
        *_share_checks(options, facts),
        *_set_checks(options, facts),
        *_size_checks(options, facts),
        _brightness_check(options),
    ]


def _count_checks(options: Validation, facts: ManifestFacts, usual_count: float | None) -> list[Check]:
    from great_expectations.expectations.core.expect_column_max_to_be_between import ExpectColumnMaxToBeBetween

    def check(name: str, severity: Severity, least: int, most: int | None, expected: str) -> Check:
        limits = ExpectColumnMaxToBeBetween(column="images", min_value=least, max_value=most)
        return Check(name, severity, "figures", limits, expected, lambda _: f"{facts.count('images')} images")

    least = options.min_images
    checks = [check("number of images", options.min_images_severity, least, None, f"at least {least}")]
    if usual_count is not None:
        low, high = (ratio * usual_count for ratio in options.usual_count_ratio)
        least = math.ceil(low)
        most = max(least, math.floor(high))
        expected = f"{least} to {most} (usually {usual_count:g})"
        severity = options.usual_count_severity
        checks.append(check("number of images against the usual night", severity, least, most, expected))
    return checks


def _identity_checks(facts: ManifestFacts) -> list[Check]:
    """Return what every later step takes for granted; a breach is never only a warning."""
    with_path = facts.count("images") - facts.count("without_path")
    return [
        _figure_check(
            "every file has a path",
            "critical",
            "without_path",
            0,
            "no path missing",
            _tell_rows("without a path", facts.count("without_path"), facts.count("images")),
        ),
        _figure_check(
            "every path is there once",
            "critical",
            "repeated_paths",
            0,
            "no path twice",
            _tell_rows("with a path that another has", facts.count("repeated_paths"), with_path, facts.repeated_paths),
        ),
        _figure_check(
            "every readable image has a sha256",
            "critical",
            "without_sha256",
            0,
            "no sha256 missing",
            _tell_rows("without a sha256", facts.count("without_sha256"), facts.count("readable")),
        ),
    ]


def _share_checks(options: Validation, facts: ManifestFacts) -> list[Check]:
    # The share is what is judged; the counts behind it are only for the reader.
    images = facts.count("images")
    return [
        _figure_check(
            "share of unreadable files",
            options.unreadable_severity,
            "unreadable_share",
            options.max_unreadable_share,
            f"at most {percent(options.max_unreadable_share)}",
            share_of(facts.count("unreadable"), images),
        ),
        _figure_check(
            "share of images with the content of another",
            options.duplicate_severity,
            "duplicate_share",
            options.max_duplicate_share,
            f"at most {percent(options.max_duplicate_share)}",
            share_of(facts.count("duplicates"), images),
        ),
    ]


def _figure_check(name: str, severity: Severity, figure: str, most: float, expected: str, observed: str) -> Check:
    from great_expectations.expectations.core.expect_column_max_to_be_between import ExpectColumnMaxToBeBetween

    limit = ExpectColumnMaxToBeBetween(column=figure, max_value=most)
    return Check(name, severity, "figures", limit, expected, lambda _: observed)


def _set_checks(options: Validation, facts: ManifestFacts) -> list[Check]:
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )

    def check(table: Literal["format", "mode"], severity: Severity, allowed: tuple[str, ...]) -> Check:
        return Check(
            f"image {table}s",
            severity,
            table,
            ExpectColumnValuesToBeInSet(column="value", value_set=list(allowed)),
            f"only {', '.join(allowed)}",
            partial(_observe_others, facts.values[table]),
        )

    return [
        check("format", options.formats_severity, options.formats),
        check("mode", options.modes_severity, options.modes),
    ]


def _size_checks(options: Validation, facts: ManifestFacts) -> list[Check]:
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )

    low, high = options.min_side_pixels, options.max_side_pixels
    sides: tuple[Literal["width", "height"], ...] = ("width", "height")
    return [
        Check(
            f"image {side}",
            options.size_severity,
            side,
            ExpectColumnValuesToBeBetween(column="value", min_value=low, max_value=high),
            f"{low} to {high} pixels",
            partial(_observe_sides, facts.values[side]),
        )
        for side in sides
    ]


def _brightness_check(options: Validation) -> Check:
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )

    low, high = options.brightness
    share = options.brightness_min_share
    return Check(
        "brightness of sampled images",
        options.brightness_severity,
        "brightness",
        ExpectColumnValuesToBeBetween(column="value", min_value=low, max_value=high, mostly=share),
        f"at least {percent(share)} from {low:g} to {high:g}",
        _observe_inside,
    )


def _tell_rows(what: str, part: int, whole: int, examples: Sequence[object] = ()) -> str:
    """Say how many rows are ``what`` is wrong, with a few of their values."""
    if not whole:
        return "none to look at"
    shown = list(dict.fromkeys(str(value)[:_SHOWN_CHARACTERS] for value in examples))[:_SHOWN_VALUES]
    return f"{part} of {whole} {what}" + (f", such as {', '.join(shown)}" if shown else "")


def _observe_others(values: pd.DataFrame, result: Mapping[str, Any]) -> str:
    wrong = result["unexpected_list"]
    return _tell_rows("others", _count_images(values, wrong), int(values["images"].sum()), wrong)


def _observe_sides(values: pd.DataFrame, result: Mapping[str, Any]) -> str:
    whole = int(values["images"].sum())
    found = f"; they are {values['value'].min():.0f} to {values['value'].max():.0f}" if whole else ""
    return _tell_rows(f"outside{found}", _count_images(values, result["unexpected_list"]), whole)


def _count_images(values: pd.DataFrame, wrong: Sequence[object]) -> int:
    return int(values.loc[values["value"].isin(wrong), "images"].sum())


def _observe_inside(result: Mapping[str, Any]) -> str:
    count = result["element_count"]
    return share_of(count - result["unexpected_count"], count) if count else "none to look at"
