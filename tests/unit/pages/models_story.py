"""A collection whose champion changed: 1, 2, back to 1, then 4; version 3 was refused, version 5 was never judged."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nightglass.collection_parts import Gates
from nightglass.collections import DetectorOptions
from nightglass.detector.calibration import Calibration, Scale
from nightglass.detector.files import Description
from nightglass.records import ModelRef, Verb
from nightglass.retraining.gates import judge
from nightglass.retraining.records import Evaluation, Retraining, TrainingFacts
from nightglass.store import ChampionChange, Store
from tests.unit.night.test_report import make_assessment
from tests.unit.retraining.test_gates import detection, evaluation, paired, training

MODEL = "nightglass-cells"
FIRST_DAY = datetime(2026, 7, 1, 4, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e{{ 7 * 7 }}"
#: Who made which version the champion on which day.
CHANGES = [(0, "promoted", "1", "nightglass"), (4, "promoted", "2", "olu"), (6, "rolled_back", "1", "ana"),
           (9, "promoted", "4", "automatic")]  # fmt: skip


def judge_nights(store: Store, number: int = 12, first: int = 0) -> None:
    """Publish nights on the days after one another, each judged by who was champion that day."""
    for day in range(first, first + number):
        version = [version for since, _, version, _ in CHANGES if since <= day][-1]
        at = FIRST_DAY + timedelta(days=day, hours=2)
        decision = make_assessment([]).decision.model_copy(update={"verb": Verb.RETRAIN if day == 3 else Verb.OK})
        rate = 0.35 if day == 3 else 0.01
        night = make_assessment([]).model_copy(
            update={
                "night": f"{at:%Y-%m-%d}",
                "model_version": version,
                "anomaly_rate": rate,
                "anomalous": round(1000 * rate),
                "decision": decision,
            }
        )
        store.publish_night(night, "report.html", at)


def change_champions(store: Store) -> None:
    """Write the promotion log."""
    for day, event, version, by in CHANGES:
        change = ChampionChange(
            collection="cells", event=event, version=version, by=by, reason=f"{HOSTILE} {event} {version}",
            run=f"run-{version}",
        )  # fmt: skip
        store.change_champion(MODEL, lambda _, change=change: change, FIRST_DAY + timedelta(days=day))


def retrain(store: Store, folder: Path | None, challenger: str, champion: str, outcome: str, **figures: object) -> None:
    """Conclude a retraining; with a folder it has its records, without one they are gone."""
    measured: Evaluation = evaluation(
        champion=ModelRef(name=MODEL, version=champion), challenger=ModelRef(name=MODEL, version=challenger), **figures
    )
    facts: TrainingFacts = training().model_copy(
        update={"sources": {"2026-07-02": 600, "2026-07-03": 300, "training": 100}, "defects": 40, "called_normal": 7}
    )
    report = judge(measured, facts, Gates())
    at = FIRST_DAY + timedelta(days=int(challenger))
    if folder:
        folder.mkdir(parents=True)
        (folder / "evaluation.json").write_text(measured.model_dump_json())
        (folder / "training.json").write_text(facts.model_dump_json())
        (folder / "card.html").write_text("<script>alert('stored')</script>")
    store.publish_retraining(
        Retraining(
            collection="cells", run=f"run-{challenger}", model_name=MODEL, champion_version=champion,
            challenger_version=challenger, data_version=challenger * 64, started_at=at.isoformat(),
            finished_at=at.isoformat(), requested_by="the nightly decision", reason=f"2026-07-04: {HOSTILE}",
            outcome=outcome, sentence=report.sentence, folder_url=str(folder or "/nowhere/at/all"), gates=report.gates,
        )
    )  # fmt: skip


def tell_story(store: Store, home: Path) -> None:
    """Fill the database and the folders of the retrainings."""
    with store:
        judge_nights(store)
        change_champions(store)
        folder = home / "retraining/cells"
        retrain(store, folder / "run-2", "2", "1", "promoted")
        worse = {"labels": detection(auroc=paired(-0.2, 0.05)), "data_version": "f" * 64}
        retrain(store, folder / "run-3", "3", "1", "refused", **worse)
        retrain(store, None, "4", "1", "promoted")


def describe(version: str, **options: object) -> Description:
    """What a detector says of itself."""
    scale = Scale(center=1.0, scale=0.5)
    return Description(
        options=DetectorOptions(**options),
        precision="int8",
        calibration=Calibration(
            image_level=scale, patch_level=scale, image_threshold=2.5, false_alarm_rate=0.01, num_images=200
        ),
        usual_patch_distance=1.0,
        labelled_defects=40 if version == "2" else 0,
        finetuning=None,
        reference_statistics={},
        data_version=version * 64,
        num_bank_images=100 * int(version),
        files={},
    )


def write_detector(folder: Path, description: Description) -> Path:
    """Write a folder that says what it is; it holds no detector."""
    folder.mkdir(parents=True)
    (folder / "detector.json").write_text(json.dumps(description.model_dump(mode="json")))
    return folder


def register(home: Path, empty_mlflow: Path, versions: int = 5, seed: int = 0) -> None:
    """Register versions without files in an MLflow of its own; a local copy of all but the last has its description."""
    from mlflow import MlflowClient

    home.mkdir(exist_ok=True)
    shutil.copy(empty_mlflow, home / "mlflow.db")
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    client.create_registered_model(MODEL)
    for number in range(1, versions + 1):
        described = describe(str(number), num_neighbors=2 + number % 40, seed=seed)
        tags = {"data_version": described.data_version, "fingerprint": described.fingerprint, "code_version": "0.1.0"}
        client.create_model_version(MODEL, source="file:///nowhere", tags=tags)
        if number < versions:
            write_detector(home / "models" / MODEL / str(number) / "abcdef", described)
