"""One night's page as data: what the templates show, with every section that has nothing left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nightglass.night.cost import NightCost
from nightglass.night.judged import JudgedNight
from nightglass.night.removals import NO_NOTES, Notes
from nightglass.night.report.charts import draw_histogram
from nightglass.night.report.cost import build_cost
from nightglass.night.report.figures import count
from nightglass.night.report.gallery import Gallery, build_gallery
from nightglass.night.report.sections import (
    DriftSection,
    QuarantineSection,
    ReasonRow,
    Tile,
    build_drift,
    build_provenance,
    build_quarantine,
    build_reasons,
    build_tiles,
    without_verb,
)
from nightglass.night.report.shadow import ShadowSection, build_shadow
from nightglass.night.report.source import ScoredNight, Summary, read_scored_night
from nightglass.night.report.trends import Trends, build_trends
from nightglass.night.report.verdicts import VerdictSection, build_verdicts
from nightglass.records import NightSummary, ValidationReport, Verb
from nightglass.storage import Folder


@dataclass(frozen=True)
class ReportPage:
    """Everything that a template needs; a section that is ``None`` or empty is not shown."""

    summary: Summary
    collection: str
    night: str
    verb: Verb | None
    sentence: str
    tiles: Sequence[Tile]
    reasons: Sequence[ReasonRow]
    gallery: Gallery | None
    shadow: ShadowSection | None
    histogram: Markup | None
    trends: Trends | None
    verdicts: VerdictSection | None
    drift: DriftSection | None
    validation: ValidationReport | None
    quarantine: QuarantineSection | None
    provenance: Sequence[tuple[str, str]]
    cost: Sequence[tuple[str, str]]
    notes: Sequence[str]


def build_page(
    source: Folder,
    *,
    trend: Sequence[NightSummary] = (),
    judged: Sequence[JudgedNight] = (),
    has_pictures: bool = True,
    cost: NightCost | None = None,
    notes: Notes = NO_NOTES,
) -> ReportPage:
    """Read a score folder and arrange what it says.

    Args:
        source: The score folder.
        trend: Earlier nights of the same collection.
        judged: What analysts said of the last nights' top anomalies, the last night first.
        has_pictures: Whether the pictures come along; without them ``gallery`` is None.
        cost: What the night cost, where that is known.
        notes: What the night has no more.

    Raises:
        InputError: It is no score folder, or one of its files is not what it should be.
    """
    return arrange_page(
        read_scored_night(source), source, trend=trend, judged=judged, has_pictures=has_pictures, cost=cost, notes=notes
    )


def arrange_page(
    night: ScoredNight,
    source: Folder,
    *,
    trend: Sequence[NightSummary] = (),
    judged: Sequence[JudgedNight] = (),
    has_pictures: bool = True,
    cost: NightCost | None = None,
    notes: Notes = NO_NOTES,
) -> ReportPage:
    """Arrange what a night says that has been read already; its pictures lie in ``source``. See :func:`build_page`."""
    summary, assessment = night.summary, night.assessment
    decision = assessment.decision if assessment else None
    return ReportPage(
        summary=summary,
        collection=assessment.collection if assessment else "",
        night=assessment.night if assessment else "",
        verb=decision.verb if decision else None,
        sentence=without_verb(decision) if decision else _count_anomalous(summary),
        tiles=build_tiles(night),
        reasons=build_reasons(decision) if decision else [],
        gallery=build_gallery(night.top_anomalies, summary.image_threshold, source, notes.pictures_gone)
        if has_pictures
        else None,
        shadow=build_shadow(night, source),
        histogram=draw_histogram(night.histogram, summary.image_threshold) if night.histogram else None,
        trends=build_trends(assessment, trend) if assessment else None,
        verdicts=build_verdicts(judged),
        drift=build_drift(assessment) if assessment else None,
        validation=night.validation,
        quarantine=build_quarantine(night),
        provenance=build_provenance(night),
        cost=build_cost(cost),
        notes=notes.sentences,
    )


def _count_anomalous(summary: Summary) -> str:
    verb = "is" if summary.anomalous == 1 else "are"
    return f"{count(summary.anomalous)} of {count(summary.scored)} images {verb} anomalous"
