"""The expectations on a night's data, in the words of Great Expectations and in those of a person."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from nightglass.collections import Severity, Validation
from nightglass.night.wording import percent, share_of

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

Table = Literal["images", "readable", "facts"]

_SHOWN_VALUES = 3
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Check:
    """One expectation: what Great Expectations evaluates, on which table, and how a person reads it.

    ``images`` has a row for every file of the manifest, ``readable`` for those that are not quarantined, and
    ``facts`` is one row of figures about the whole night.
    """

    name: str
    severity: Severity
    table: Table
    expectation: "Expectation"
    expected: str
    observe: Callable[[Mapping[str, Any]], str]


def list_checks(options: Validation, tables: Mapping[Table, pd.DataFrame], usual_count: float | None) -> list[Check]:
    """Return every expectation on the night's ``tables``, in the order in which a person reads them."""
    return [
        *_count_checks(options, usual_count),
        *_identity_checks(),
        *_share_checks(options, tables["facts"]),
        *_header_checks(options, tables["readable"]),
    ]


def _count_checks(options: Validation, usual_count: float | None) -> list[Check]:
    from great_expectations.expectations.core.expect_table_row_count_to_be_between import (
        ExpectTableRowCountToBeBetween,
    )

    def observe(result: Mapping[str, Any]) -> str:
        return f"{result['observed_value']} images"

    checks = [
        Check(
            "number of images",
            options.min_images_severity,
            "images",
            ExpectTableRowCountToBeBetween(min_value=options.min_images),
            f"at least {options.min_images}",
            observe,
        )
    ]
    if usual_count is not None:
        low, high = (ratio * usual_count for ratio in options.usual_count_ratio)
        least, most = math.ceil(low), math.floor(high)
        checks.append(
            Check(
                "number of images against the usual night",
                options.usual_count_severity,
                "images",
                ExpectTableRowCountToBeBetween(min_value=least, max_value=max(least, most)),
                f"{least} to {max(least, most)} (usually {usual_count:g})",
                observe,
            )
        )
    return checks


def _identity_checks() -> list[Check]:
    """Return what every later step takes for granted; a breach is never only a warning."""
    from great_expectations.expectations.core.expect_column_values_to_be_unique import (
        ExpectColumnValuesToBeUnique,
    )
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
        ExpectColumnValuesToNotBeNull,
    )

    return [
        Check(
            "every file has a path",
            "critical",
            "images",
            ExpectColumnValuesToNotBeNull(column="path"),
            "no path missing",
            partial(_observe_rows, "without a path"),
        ),
        Check(
            "every path is there once",
            "critical",
            "images",
            ExpectColumnValuesToBeUnique(column="path"),
            "no path twice",
            partial(_observe_rows, "with a path that another has"),
        ),
        Check(
            "every readable image has a sha256",
            "critical",
            "readable",
            ExpectColumnValuesToNotBeNull(column="sha256"),
            "no sha256 missing",
            partial(_observe_rows, "without a sha256"),
        ),
    ]


def _share_checks(options: Validation, facts: pd.DataFrame) -> list[Check]:
    from great_expectations.expectations.core.expect_column_max_to_be_between import (
        ExpectColumnMaxToBeBetween,
    )

    def check(name: str, severity: Severity, fact: str, limit: float) -> Check:
        # The share is what is judged; the counts behind it are only for the reader.
        part, whole = int(facts[fact].iloc[0]), int(facts["images"].iloc[0])
        column = f"{fact.removesuffix('s')}_share"
        return Check(
            name,
            severity,
            "facts",
            ExpectColumnMaxToBeBetween(column=column, max_value=limit),
            f"at most {percent(limit)}",
            lambda _: share_of(part, whole),
        )

    return [
        check(
            "share of unreadable files",
            options.unreadable_severity,
            "unreadable",
            options.max_unreadable_share,
        ),
        check(
            "share of images with the content of another",
            options.duplicate_severity,
            "duplicates",
            options.max_duplicate_share,
        ),
    ]


def _header_checks(options: Validation, readable: pd.DataFrame) -> list[Check]:
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )

    checks = [
        Check(
            f"image {column}s",
            severity,
            "readable",
            ExpectColumnValuesToBeInSet(column=column, value_set=list(allowed)),
            f"only {', '.join(allowed)}",
            partial(_observe_rows, "others"),
        )
        for column, severity, allowed in (
            ("format", options.formats_severity, options.formats),
            ("mode", options.modes_severity, options.modes),
        )
    ]
    for side in ("width", "height"):
        spread = readable[side].dropna()
        found = f"; they are {spread.min():.0f} to {spread.max():.0f}" if len(spread) else ""
        checks.append(
            Check(
                f"image {side}",
                options.size_severity,
                "readable",
                ExpectColumnValuesToBeBetween(
                    column=side, min_value=options.min_side_pixels, max_value=options.max_side_pixels
                ),
                f"{options.min_side_pixels} to {options.max_side_pixels} pixels",
                partial(_observe_sides, found),
            )
        )
    low, high = options.brightness
    checks.append(
        Check(
            "brightness of sampled images",
            options.brightness_severity,
            "readable",
            ExpectColumnValuesToBeBetween(
                column="brightness", min_value=low, max_value=high, mostly=options.brightness_min_share
            ),
            f"at least {percent(options.brightness_min_share)} from {low:g} to {high:g}",
            _observe_inside,
        )
    )
    return checks


def _observe_rows(what: str, result: Mapping[str, Any]) -> str:
    """Say how many rows are ``what`` is wrong, with a few of their values."""
    count = result["element_count"] - result.get("missing_count", 0)
    if not count:
        return "none to look at"
    values = dict.fromkeys(str(value)[:_SHOWN_CHARACTERS] for value in result["partial_unexpected_list"])
    shown = [value for value in values if value not in {"None", "nan"}][:_SHOWN_VALUES]
    examples = f", such as {', '.join(shown)}" if shown else ""
    return f"{result['unexpected_count']} of {count} {what}{examples}"


def _observe_sides(found: str, result: Mapping[str, Any]) -> str:
    count = result["element_count"] - result["missing_count"]
    return f"{result['unexpected_count']} of {count} outside{found}" if count else "none to look at"


def _observe_inside(result: Mapping[str, Any]) -> str:
    count = result["element_count"] - result["missing_count"]
    return share_of(count - result["unexpected_count"], count) if count else "none to look at"
