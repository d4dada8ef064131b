"""What a drill showed: night by night on the screen, then as JSON and as a Markdown page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from airflow_processes import AirflowError
from nightglass.retraining.markdown import escape, table

CALM = frozenset({"ok", "watch"})


@dataclass(frozen=True)
class DrillNight:
    """One night of the drill; the seconds count from the moment its run was asked for."""

    night: str
    what: str
    model_version: str
    decision: str
    sentence: str
    anomaly_rate: float | None
    psi: dict[str, float]
    published_after_seconds: float
    alert: str | None
    alert_after_seconds: float | None

    def cells(self) -> list[str]:
        """Return it as the cells of a table."""
        worst = max(self.psi, key=lambda name: self.psi[name], default="")
        return [
            self.night,
            self.what,
            self.model_version,
            "-" if self.anomaly_rate is None else f"{self.anomaly_rate:.1%}",
            f"{worst} {self.psi[worst]:.2f}" if worst else "-",
            self.decision,
            f"{self.published_after_seconds:.0f} s",
            "-" if self.alert_after_seconds is None else f"{self.alert_after_seconds:.0f} s",
        ]


HEADER = ("night", "what", "model", "anomalous", "largest PSI", "decision", "published", "alert")
_STORY = (
    "A lamp fades by steps; somebody promotes a detector that was fitted in the dark, past every gate; the lamp is "
    "mended; an operator rolls back."
)
_WIDTHS = (12, 34, 7, 11, 22, 10, 11, 7)


@dataclass(frozen=True)
class Protocol:
    """A whole drill.

    ``nights_to_watch`` and ``nights_to_retrain`` count the dark nights up to the first that said so; None: none did.
    """

    nights: list[DrillNight]
    nights_to_watch: int | None
    nights_to_retrain: int | None
    alert_after_seconds: float | None
    wrong_seen_after_seconds: float | None
    champion_back_after_seconds: float
    recovered_after_seconds: float
    rollback_alert: str | None

    @classmethod
    def of(
        cls,
        nights: list[DrillNight],
        wrong: DrillNight,
        again: DrillNight,
        back: float,
        recovered: float,
        *,
        rollback_alert: str | None,
    ) -> Self:
        """Measure detection and recovery.

        Args:
            nights: All of them in their order.
            wrong: The one that the wrong champion scored.
            again: The same, scored again after the rollback; the last of ``nights``.
            back: Seconds from asking for the rollback until the old champion was it again.
            recovered: Seconds until it had scored the night.
            rollback_alert: What was told of the rollback.
        """
        dark = [night for night in nights if night.what.startswith("light")]
        asked = next((night for night in dark if night.decision == "retrain"), None)
        return cls(
            nights=[*nights[:-1], again],
            nights_to_watch=_count_to(dark, {"watch", "retrain"}),
            nights_to_retrain=_count_to(dark, {"retrain"}),
            alert_after_seconds=asked.alert_after_seconds if asked else None,
            wrong_seen_after_seconds=wrong.alert_after_seconds,
            champion_back_after_seconds=round(back, 1),
            recovered_after_seconds=round(recovered, 1),
            rollback_alert=rollback_alert,
        )

    def measured(self) -> list[tuple[str, str]]:
        """Return what people want to know of it, and the answer."""
        return [
            ("dark nights until the first watch or retrain", _shown(self.nights_to_watch)),
            ("dark nights until the first retrain", _shown(self.nights_to_retrain)),
            ("from the start of that night's run to the alert", _shown(self.alert_after_seconds, " s")),
            (
                "the wrong champion: from the night's run to the alert",
                _shown(self.wrong_seen_after_seconds, " s"),
            ),
            ("from asking for the rollback to the old champion", _shown(self.champion_back_after_seconds, " s")),
            ("to the night scored again by it", _shown(self.recovered_after_seconds, " s")),
        ]


def show_night(night: DrillNight) -> None:
    """Print a night as one line, and what was said and told of one that is not quiet."""
    print(f"  {_line(night.cells())}", flush=True)
    if night.decision != "ok":
        print(f"    {night.sentence}\n    told: {night.alert}", flush=True)


def show_header() -> None:
    """Print what the lines of the nights say."""
    print(f"  {_line(HEADER)}", flush=True)


def _line(cells: Sequence[str]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def write_protocol(protocol: Protocol, folder: Path) -> None:
    """Print what was measured and write ``drill.json`` and ``protocol.md`` into ``folder``."""
    (folder / "drill.json").write_text(json.dumps(asdict(protocol), indent=1) + "\n", encoding="utf-8")
    (folder / "protocol.md").write_text(_write(protocol), encoding="utf-8")
    print(f"\n  {'what':<60} measured")
    for what, value in protocol.measured():
        print(f"  {what:<60} {value}")
    print(f"\n  Protocol      {folder / 'protocol.md'}\n  The same as   {folder / 'drill.json'}\n")


def check_drill(protocol: Protocol) -> None:
    """Raise an AirflowError unless the change and the wrong champion were seen and told, and the rollback mended it."""
    *before, wrong, again = protocol.nights
    calm = [night for night in before if night.what == "calm"]
    for night in calm:
        _expect(night, CALM, "1")
    _expect(before[-1], {"retrain"}, "1")
    _expect(wrong, {"watch", "retrain"}, "2")  # one night of drift alone is watched
    _expect(again, CALM, "1")
    for night in (before[-1], wrong):
        if night.alert is None:
            raise AirflowError(f"{night.night}: expected an alert of the decision {night.decision}, got none")
    if protocol.rollback_alert is None:
        raise AirflowError("expected an alert of the rollback, got none")


def _expect(night: DrillNight, decisions: frozenset[str] | set[str], version: str) -> None:
    if night.decision not in decisions or night.model_version != version:
        wanted = f"{' or '.join(sorted(decisions))} by version {version}"
        got = f"{night.decision} by version {night.model_version}"
        raise AirflowError(f"{night.night}, {night.what}: expected {wanted}, got {got}")


def _write(protocol: Protocol) -> str:
    told = [night for night in protocol.nights if night.decision != "ok"]
    parts = [
        "# Incident drill",
        _STORY,
        table(("what", "measured"), protocol.measured()),
        "## Nights",
        table(HEADER, [night.cells() for night in protocol.nights]),
        "## What was said",
        "\n".join(f"- {escape(night.night)}, {escape(night.what)}: {escape(night.sentence)}" for night in told),
        "## What was told",
        "\n".join(f"- {escape(alert)}" for alert in [*(n.alert for n in told), protocol.rollback_alert] if alert),
    ]
    return "\n\n".join(parts) + "\n"


def _count_to(nights: list[DrillNight], decisions: set[str]) -> int | None:
    return next((number for number, night in enumerate(nights, 1) if night.decision in decisions), None)


def _shown(value: float | None, unit: str = "") -> str:
    return "never" if value is None else f"{value:g}{unit}"
