"""A night by two models: how many of its images are still there, and what the other version makes of them."""

import json

import pyarrow.parquet as pq

from nightglass.backfill.kept import rescored_folder
from nightglass.backfill.records import RescoredScores
from nightglass.engine.merge import SCORES_NAME
from nightglass.engine.results import ASSESSMENT_NAME, SUMMARY_NAME, TOP_NAME
from nightglass.errors import InputError
from nightglass.images.listing import list_images
from nightglass.images.manifest_file import MANIFEST_NAME
from nightglass.models import FoundModel
from nightglass.night.plan import NightPlace
from nightglass.night.shadow_comparison import compare_scores, pair_scores, read_scores
from nightglass.records import Assessment, ModelRef
from nightglass.store import results_of_file

#: A rate of fewer of a night's images says little about the night.
LEAST_SHARE = 0.9
_NEEDED = (MANIFEST_NAME, SCORES_NAME, ASSESSMENT_NAME)


def read_published(place: NightPlace, result_sha256: str) -> Assessment:
    """Return what was published of a night; ``result_sha256`` says of which assessment.

    Raises:
        InputError: Its files are gone, or are not those that were published.
    """
    missing = [name for name in _NEEDED if not place.out.exists(name)]
    if missing:
        raise InputError(f"{place.out.url}: expected {', '.join(missing)} of the time, got none")
    content = place.out.read_bytes(ASSESSMENT_NAME)
    if result_sha256 not in results_of_file(content):
        raise InputError(f"{place.out.url}: expected the night as it was published, got another one: it is in work")
    return Assessment.model_validate_json(content)


def count_gone(place: NightPlace, assessment: Assessment) -> int:
    """Return how many of the images that were scored at the time are gone by their names; none is read.

    Raises:
        InputError: The folder is gone, or more than a tenth of the images.
    """
    there = {image.path for image in list_images(place.images, place.collection.suffixes).images}
    gone = 0
    with place.out.open_read(SCORES_NAME) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=["path"]):
            gone += sum(path not in there for path in batch["path"].to_pylist())
    _check_share(place, assessment.scored, gone, "gone")
    return gone


def compare_night(
    place: NightPlace, assessment: Assessment, champion_result: str, model: FoundModel, score_key: str
) -> RescoredScores:
    """Compare a version's scores of a night with those of the time.

    Args:
        place: The night's places.
        assessment: What was published of it.
        champion_result: ``result_sha256`` of that.
        model: The version; its scores and its assessment are there.
        score_key: What its scores depend on.

    Raises:
        InputError: More than a tenth of the images have other content now.
    """
    out = rescored_folder(place.out, model.ref.version)
    by_version = Assessment.model_validate_json(out.read_bytes(ASSESSMENT_NAME))
    agreement, disagreements = compare_scores(
        pair_scores(read_scores(place.out), read_scores(out)),
        champion_threshold=assessment.image_threshold,
        challenger_threshold=by_version.image_threshold,
    )
    left_out = assessment.scored - agreement.scored
    _check_share(place, assessment.scored, left_out, "gone, or have other content now")
    top = [image.path for image in assessment.top_anomalies]
    theirs = {image["path"] for image in json.loads(out.read_bytes(TOP_NAME))["top_anomalies"]}
    summary = json.loads(out.read_bytes(SUMMARY_NAME))
    return RescoredScores(
        collection=assessment.collection,
        night=assessment.night,
        model=model.ref,
        champion=ModelRef(name=assessment.model_name, version=assessment.model_version),
        data_version=assessment.data_version,
        score_key=score_key,
        champion_result=champion_result,
        champion_threshold=assessment.image_threshold,
        threshold=by_version.image_threshold,
        agreement=agreement,
        left_out=left_out,
        top_k=len(top),
        top_k_overlap=len(theirs.intersection(top)),
        disagreements=disagreements,
        statistic_psi={statistic.name: statistic.psi for statistic in by_version.drift.statistics},
        compute_seconds=summary["compute_seconds"],
    )


def _check_share(place: NightPlace, scored: int, gone: int, what: str) -> None:
    if scored - gone < scored * LEAST_SHARE:
        raise InputError(
            f"{place.images.url}: expected {LEAST_SHARE:.0%} of the {scored:,} images that were scored at the time, "
            f"{gone:,} are {what}"
        )
