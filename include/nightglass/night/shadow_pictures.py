"""Pictures and anomaly maps of the images on which champion and challenger differ."""

from dataclasses import replace

from nightglass.engine.merge import RankedImage
from nightglass.engine.results import SHADOW_FOLDER
from nightglass.engine.score import ScoreJob
from nightglass.engine.top_anomalies import AnomalyExplainer
from nightglass.images.manifest_file import ROW_COLUMNS, read_manifest
from nightglass.night.plan import PlannedNight
from nightglass.night.shadow_records import Disagreement
from nightglass.storage import Folder


def picture(night: PlannedNight, job: ScoreJob, disagreements: list[Disagreement]) -> list[Disagreement]:
    """Write picture and anomaly map of each, the map by the model that finds the image anomalous.

    Args:
        night: The night.
        job: What the challenger scored; the pictures go into its folder.
        disagreements: The images.
    """
    champion = replace(night.job(), out=job.out)
    pictured: dict[str, Disagreement] = {}
    for side, alarmed in (("champion", champion), ("challenger", job)):
        of_side = [found for found in disagreements if found.anomalous_for == side]
        pictured |= {found.path: found for found in _explain(alarmed, side, of_side, night.place.out)}
    return [pictured[found.path] for found in disagreements]


def _explain(job: ScoreJob, side: str, found: list[Disagreement], out: Folder) -> list[Disagreement]:
    folder = f"only_{side}"
    job.out.remove(folder)
    if not found:
        return []
    explainer = AnomalyExplainer(job.images, job.out.child(folder), job.detector, job.backend, job.collection.scoring)
    rows = read_manifest(out, columns=ROW_COLUMNS).find_rows([image.path for image in found])
    explained = explainer.explain([_as_ranked(image) for image in found], rows, job.workers)
    prefix = f"{SHADOW_FOLDER}/{folder}"
    return [
        image.model_copy(update={"image": f"{prefix}/{shown.image}", "anomaly_map": f"{prefix}/{shown.anomaly_map}"})
        for image, shown in zip(found, explained, strict=True)
    ]


def _as_ranked(image: Disagreement) -> RankedImage:
    score = image.champion_score if image.anomalous_for == "champion" else image.challenger_score
    return RankedImage(score, (), image.path, image.sha256, is_anomalous=True)
