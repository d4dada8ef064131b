"""What a night's data must look like: each limit fails on its own, by its severity, in words for people."""

import hashlib
import os

import pandas as pd
import pyarrow as pa
import pytest
from great_expectations.expectations import ExpectColumnValuesToNotBeNull

from nightglass.collection_limits import Validation
from nightglass.errors import InputError
from nightglass.night.expectations import Check
from nightglass.night.validation import _evaluate, _open_source, validate_manifest
from nightglass.records import ExpectationResult, ValidationReport


def make_manifest(count: int = 200, **changes: object) -> pa.Table:
    """A good night as it comes out of manifest.parquet; ``changes`` replace the first rows of a column."""
    columns: dict[str, list[object]] = {
        "path": [f"line-1/{i}.jpg" for i in range(count)],
        "sha256": [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)],
        "format": ["JPEG"] * count,
        "mode": ["RGB"] * count,
        "width": [640] * count,
        "height": [480] * count,
        "brightness": [120.0 if i % 2 else None for i in range(count)],
        "reason": [None] * count,
    }
    for name, values in changes.items():
        columns[name][: len(values)] = list(values)
    schema = {"width": pa.int32(), "height": pa.int32(), "brightness": pa.float64()}
    return pa.table({name: pa.array(values, schema.get(name, pa.string())) for name, values in columns.items()})


def find(report: ValidationReport, name: str) -> ExpectationResult:
    return next(result for result in report.expectations if result.name == name)


def test_a_good_night_passes_everything():
    report = validate_manifest(make_manifest(), Validation(), usual_count=190)
    assert report.passed
    assert [result.name for result in report.expectations if not result.passed] == []
    assert find(report, "number of images against the usual night").expected == "95 to 380 (usually 190)"


@pytest.mark.parametrize(
    ("name", "changes", "observed"),
    [
        ("share of unreadable files", {"reason": ["corrupt"] * 21}, "10.5 % (21 of 200)"),
        ("share of images with the content of another", {"sha256": ["same"] * 41}, "20.5 % (41 of 200)"),
        ("image formats", {"format": ["GIF"]}, "1 of 200 others, such as GIF"),
        ("image modes", {"mode": ["F"]}, "1 of 200 others, such as F"),
        ("image width", {"width": [31, 20_001]}, "2 of 200 outside; they are 31 to 20001"),
        ("image height", {"height": [31]}, "1 of 200 outside; they are 31 to 480"),
        ("brightness of sampled images", {"brightness": [4.9, 250.1] * 6}, "88.7 % (94 of 106)"),
        (
            "every path is there once",
            {"path": ["a.jpg", "a.jpg"]},
            "2 of 200 with a path that another has, such as a.jpg",
        ),
        ("every file has a path", {"path": [None]}, "1 of 200 without a path"),
        ("every readable image has a sha256", {"sha256": [None]}, "1 of 200 without a sha256"),
    ],
)
def test_each_limit_fails_alone(name, changes, observed):
    report = validate_manifest(make_manifest(**changes), Validation(), usual_count=200)
    assert [result.name for result in report.expectations if not result.passed] == [name]
    assert find(report, name).observed == observed
    assert report.passed is (find(report, name).severity == "warning")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("share of unreadable files", {"reason": ["corrupt"] * 20}),
        ("share of images with the content of another", {"sha256": ["same"] * 40}),
        ("image width", {"width": [32, 20_000]}),
        ("brightness of sampled images", {"brightness": [5.0, 250.0] * 20}),
    ],
)
def test_a_limit_itself_is_allowed(name, changes):
    assert find(validate_manifest(make_manifest(**changes), Validation(), usual_count=None), name).passed


def test_unreadable_files_are_not_asked_for_header_facts():
    manifest = make_manifest(
        reason=["corrupt"] * 5, format=["GIF"] * 5, width=[None, 1, 1, 1, 1], sha256=[None] * 5, brightness=[0.0] * 5
    )
    report = validate_manifest(manifest, Validation(), usual_count=None)
    assert [result.name for result in report.expectations if not result.passed] == []
    assert find(report, "share of unreadable files").observed == "2.5 % (5 of 200)"


@pytest.mark.parametrize(("count", "passed"), [(99, False), (100, True), (400, True), (401, False)])
def test_count_against_the_usual_night(count, passed):
    report = validate_manifest(make_manifest(count), Validation(), usual_count=200)
    result = find(report, "number of images against the usual night")
    assert (result.passed, result.observed) == (passed, f"{count} images")
    assert report.passed
    assert report.warnings == (not passed)


@pytest.mark.parametrize("empty", [pa.table({}), make_manifest(0)], ids=["no columns", "no rows"])
def test_an_empty_manifest_fails_in_words(empty):
    report = validate_manifest(empty, Validation(), usual_count=200)
    assert not report.passed
    assert find(report, "number of images") == ExpectationResult(
        name="number of images", severity="critical", passed=False, expected="at least 1", observed="0 images"
    )


def test_severity_comes_from_the_collection():
    manifest = make_manifest(format=["GIF"], reason=[None] + ["corrupt"] * 50)
    strict = validate_manifest(manifest, Validation(formats_severity="critical"), usual_count=None)
    assert {r.name for r in strict.expectations if not r.passed and r.severity == "critical"} == {
        "image formats",
        "share of unreadable files",
    }
    relaxed = validate_manifest(manifest, Validation(unreadable_severity="warning"), usual_count=None)
    assert relaxed.passed
    assert relaxed.warnings == 2


def test_a_manifest_without_a_column_is_refused():
    with pytest.raises(InputError, match="got no sha256"):
        validate_manifest(make_manifest().drop_columns("sha256"), Validation(), usual_count=None)


def test_text_where_numbers_belong_is_refused():
    manifest = make_manifest()
    widths = pa.array(["wide", *["640"] * 199])
    manifest = manifest.set_column(manifest.column_names.index("width"), "width", widths)
    with pytest.raises(InputError, match="expected numbers in width, height, brightness"):
        validate_manifest(manifest, Validation(), usual_count=None)


def test_what_cannot_be_evaluated_raises_instead_of_passing():
    # A column that goes missing behind the checks' back is what Great Expectations itself trips over.
    check = Check("image formats", "warning", "format", ExpectColumnValuesToNotBeNull(column="value"), "none", str)
    with pytest.raises(InputError, match=r"'image formats', but Great Expectations got .*value.* does not exist"):
        _evaluate(_open_source(), "format", pd.DataFrame({"images": [200]}), [check])


def test_it_is_quiet(caplog, capfd):
    caplog.set_level("INFO")
    validate_manifest(make_manifest(), Validation(), usual_count=None)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_every_value_counts_in_what_people_read_however_many_there_are():
    # More different values than Great Expectations lists by default, each of more than one image.
    widths = [side for side in range(20_001, 20_041) for _ in range(3)]
    report = validate_manifest(make_manifest(width=widths, format=["GIF", "PCX"] * 40), Validation(), usual_count=None)
    assert find(report, "image width").observed == "120 of 200 outside; they are 640 to 20040"
    assert find(report, "image formats").observed == "80 of 200 others, such as GIF, PCX"


def test_a_manifest_of_many_pieces_is_checked_as_one():
    whole = make_manifest(path=["a.jpg", *[None] * 148, "a.jpg"], sha256=["same"] * 41)
    pieces = pa.concat_tables([whole.slice(start, 7) for start in range(0, 200, 7)])
    assert validate_manifest(pieces, Validation(), usual_count=None) == validate_manifest(
        whole, Validation(), usual_count=None
    )
    assert find(validate_manifest(pieces, Validation(), usual_count=None), "every path is there once").observed == (
        "2 of 52 with a path that another has, such as a.jpg"
    )
