"""A retraining as rows, and rows as records."""

import hashlib
import json
from itertools import groupby

from sqlalchemy import RowMapping

from nightglass.retraining.records import Gate, Retraining
from nightglass.store.rows import Row, storable

_GATE = {"name", "title", "champion", "challenger", "low", "high", "limit", "passed", "why"}


def retraining_row(retraining: Retraining) -> Row:
    """Return the row of ``retraining_results``."""
    # A retried task ends later and has still found the same.
    content = retraining.model_dump(mode="json", exclude={"finished_at"})
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return storable(
        {
            **retraining.model_dump(mode="json", exclude={"gates"}),
            "failed_gates": "\n".join(gate.name for gate in retraining.gates if not gate.passed),
            "result_sha256": hashlib.sha256(canonical.encode()).hexdigest(),
        }
    )


def gate_rows(retraining: Retraining) -> list[Row]:
    """Return the rows of ``retraining_gates``."""
    key = {"collection": retraining.collection, "run": retraining.run}
    return [
        storable(
            key
            | gate.model_dump(exclude={"limit", "passed"})
            | {"position": position, "limit_value": gate.limit, "passed": int(gate.passed)}
        )
        for position, gate in enumerate(retraining.gates, start=1)
    ]


def retrainings_of(rows: list[RowMapping]) -> list[Retraining]:
    """Fold rows of retraining and gate, which come retraining by retraining, into one record a retraining."""
    retrainings = []
    for _, group in groupby(rows, key=lambda row: (row["collection"], row["run"])):
        of_one = list(group)
        fields = {name: of_one[0][name] for name in Retraining.model_fields if name != "gates"}
        # A retraining that ended before its gates has one row without any.
        gates = [_gate(row) for row in of_one if row["name"] is not None]
        retrainings.append(Retraining.model_validate({**fields, "gates": gates}))
    return retrainings


def _gate(row: RowMapping) -> Gate:
    values = {name: row["limit_value" if name == "limit" else name] for name in _GATE}
    return Gate.model_validate(values | {"passed": bool(row["passed"])})
