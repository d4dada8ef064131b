"""What a night's data must look like: Great Expectations over the manifest, before anything is scored."""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from nightglass.collection_limits import Validation
from nightglass.errors import InputError
from nightglass.night.expectations import Check, list_checks
from nightglass.night.manifest_facts import gather_facts
from nightglass.records import ExpectationResult, ValidationReport

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.datasource.fluent.pandas_datasource import PandasDatasource


def validate_manifest(manifest: pa.Table, options: Validation, *, usual_count: float | None) -> ValidationReport:
    """Check a night's manifest against the limits of its collection.

    Great Expectations judges what the rows come down to (see `gather_facts`), not a million rows one by one: it copies
    a table for every expectation. Formats, modes and sizes are asked of readable images only, and brightness of those
    where it was sampled: with none of them there is nothing that could fail, and the counts and shares speak for the
    night.

    Args:
        manifest: The rows of ``manifest.parquet`` with at least `COLUMNS`; it may be empty.
        options: The collection's limits and their severities.
        usual_count: Median number of images of recent nights; None while it is unknown.

    Raises:
        InputError: A column is missing, or Great Expectations could not evaluate an expectation.
    """
    facts = gather_facts(manifest)
    source = _open_source()
    checks = list_checks(options, facts, usual_count)
    tables = {"figures": pd.DataFrame([facts.figures]), **facts.values}
    outcomes: dict[str, ExpectationResult] = {}
    for table, frame in tables.items():
        outcomes |= _evaluate(source, table, frame, [check for check in checks if check.table == table])
    results = [outcomes[check.name] for check in checks]
    return ValidationReport(
        passed=all(result.passed or result.severity == "warning" for result in results), expectations=results
    )


def _open_source() -> "PandasDatasource":
    # For the releases that send usage figures: they read it once, when they are imported.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types import base

    # The second one sets a level of its own when it is imported.
    for name in ("great_expectations", base.__name__):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = base.ProgressBarsConfig(globally=False)
    return context.data_sources.add_pandas("manifest")


def _evaluate(
    source: "PandasDatasource", table: str, frame: pd.DataFrame, checks: list[Check]
) -> dict[str, ExpectationResult]:
    import great_expectations as gx

    asset = source.add_dataframe_asset(table)
    batch = asset.add_batch_definition_whole_dataframe("night").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(
        name=table,
        expectations=[check.expectation.copy(update={"meta": {"name": check.name}}) for check in checks],
    )
    validation = batch.validate(suite, result_format="COMPLETE")
    # The outcomes come in no fixed order, so each is found by its name.
    outcomes = {
        result.expectation_config.meta["name"]: result
        for result in validation.results
        if result.expectation_config and result.expectation_config.meta
    }
    return {check.name: _read_outcome(check, outcomes[check.name]) for check in checks}


def _read_outcome(check: Check, outcome: "ExpectationValidationResult") -> ExpectationResult:
    problem = _find_exception(outcome.exception_info or {})
    if problem:
        raise InputError(f"manifest: expected to check '{check.name}', but Great Expectations got {problem}")
    return ExpectationResult(
        name=check.name,
        severity=check.severity,
        passed=bool(outcome.success),
        expected=check.expected,
        observed=check.observe(outcome.result),
    )


def _find_exception(info: Mapping[str, object]) -> str | None:
    """Return the first line of an exception; it comes bare, or under the metric that raised it."""
    for entry in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if entry.get("raised_exception"):
            return str(entry.get("exception_message") or "an unknown exception").splitlines()[0][:200]
    return None
