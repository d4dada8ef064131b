"""What a retraining makes of analysts' verdicts and of a poisoned night, on real photographs.

``python -m benchmarks.retraining [--splits 3]``. Each split deals the cells of ELPV anew: a champion's training
images, five nights, a golden set that the gates measure on, and cells that nobody has seen, on which both models are
compared in the end.

*verdicts*: analysts called 50 of the nights' defects so; the challenger should be better and be promoted.
*poisoned*: 30 % of the last night are defects, and nobody labelled anything; counted is how many defects come into the
training set, and whether the challenger is refused or no worse.
"""

import argparse
import os
import random
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import product
from benchmarks.common import BenchmarkError, bench_home, median, run_main, table, write_results
from benchmarks.data import Cell, image_folder, read_cells

_COLLECTION = "cells"
_FIRST_NIGHT = datetime(2026, 3, 2, 18, tzinfo=UTC)
_GOOD_A_NIGHT, _TRAINING, _LABELLED = 140, 500, 50
_SCENARIOS = {"verdicts": [24, 24, 24, 24, 24], "poisoned": [3, 3, 3, 3, 60]}
_FILE = """name: cells
images: "{images}/{{night}}"
schedule: null
ready: {{quiet_minutes: 0}}
retraining: {{promotion: automatic, golden: {{images: "{images}/golden"}}}}
"""
_COLUMNS = {
    "scenario": "nights",
    "split": "split",
    "outcome": "outcome",
    "training": "training images",
    "contamination": "unlabelled defects among them",
    "champion": "champion, AUROC on unseen cells",
    "challenger": "challenger",
    "low": "difference, low",
    "high": "high",
    "failed": "gates not met",
}


@dataclass(frozen=True)
class Deal:
    """Cells of one split: a champion's training images, the nights, and those that nobody has seen."""

    training: list[Cell]
    nights: list[list[Cell]]
    golden: list[Cell]
    unseen: list[Cell]


def deal(cells: Sequence[Cell], seed: int, defects_a_night: Sequence[int]) -> Deal:
    """Deal good and defective cells out at random, no cell twice."""
    dealer = random.Random(seed)  # noqa: S311  the same deal every time, not a secret
    decks = {label: [cell for cell in cells if cell.label == label] for label in ("normal", "defect")}
    for deck in decks.values():
        dealer.shuffle(deck)
    good, defects = decks["normal"], decks["defect"]
    training, good = good[:_TRAINING], good[_TRAINING:]
    nights = []
    for count in defects_a_night:
        night = good[:_GOOD_A_NIGHT] + defects[:count]
        good, defects = good[_GOOD_A_NIGHT:], defects[count:]
        dealer.shuffle(night)
        nights.append(night)
    # Half of the rest is the collection's golden set, the other half is seen by nobody.
    golden = good[: len(good) // 2] + defects[: len(defects) // 2]
    return Deal(training, nights, golden, good[len(good) // 2 :] + defects[len(defects) // 2 :])


def run_scenario(name: str, split: int) -> dict[str, Any]:
    """Fit a champion, score the nights, retrain, and compare both models on the unseen cells."""
    # A folder each: MLflow keeps the database of a folder open, though the folder be made anew.
    home = bench_home() / "retraining" / f"{name}-{split}"
    shutil.rmtree(home, ignore_errors=True)
    dealt = deal(read_cells(), split, _SCENARIOS[name])
    labels = {cell.name: cell.label for cell in read_cells()}
    collection_file = home / "collections" / f"{_COLLECTION}.yaml"
    collection_file.parent.mkdir(parents=True)
    collection_file.write_text(_FILE.format(images=home / "images"), encoding="utf-8")
    os.environ |= {"NIGHTGLASS_HOME": str(home), "NIGHTGLASS_COLLECTIONS_DIR": str(collection_file.parent)}
    nights = _lay_out(home / "images", dealt.nights)
    _lay_out_golden(home / "images" / "golden", dealt.golden)
    champion = _fit_champion(image_folder(f"retraining-{split}", [cell.file for cell in dealt.training]), home)
    _score_nights(collection_file, nights)
    if name == "verdicts":
        _give_verdicts(dealt, nights, split)
    done = _retrain(collection_file)
    trained = done["training"]
    unseen = image_folder(f"retraining-unseen-{name}-{split}", [cell.file for cell in dealt.unseen])
    scores = [
        product.read_scores(_score(unseen, model, home / "unseen" / str(number), collection_file))
        for number, model in enumerate((champion, done["challenger"]))
    ]
    hidden = [
        labels[Path(path).name] == "defect" and label != "defect"
        for path, label in zip(trained["path"].to_pylist(), trained["label"].to_pylist(), strict=True)
    ]
    compared = _compare(scores, {cell.name: cell.label == "defect" for cell in dealt.unseen}, split)
    return {
        "scenario": name,
        "split": split,
        "outcome": done["outcome"],
        "failed": ", ".join(done["failed"]),
        "training": len(trained),
        "contamination": sum(hidden) / len(hidden),
        **compared,
    }


def _lay_out(images: Path, nights: list[list[Cell]]) -> list[str]:
    """Write the nights, ten seconds from one photograph to the next."""
    names = []
    for number, cells in enumerate(nights):
        start = _FIRST_NIGHT + timedelta(days=number)
        names.append(start.date().isoformat())
        folder = images / names[-1]
        folder.mkdir(parents=True)
        for place, cell in enumerate(cells):
            taken = (start + timedelta(seconds=10 * place)).timestamp()
            shutil.copyfile(cell.file, folder / cell.name)
            os.utime(folder / cell.name, (taken, taken))
    return names


def _lay_out_golden(folder: Path, cells: list[Cell]) -> None:
    folder.mkdir()
    for cell in cells:
        shutil.copyfile(cell.file, folder / cell.name)
    lines = ["path,label", *(f"{cell.name},{cell.label}" for cell in cells)]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _fit_champion(images: Path, home: Path) -> Path:
    from nightglass.cli import commands

    model = home / "champion"
    file = Path(os.environ["NIGHTGLASS_COLLECTIONS_DIR"]) / f"{_COLLECTION}.yaml"
    arguments = ["fit", "--images", str(images), "--out", str(model), "--collection", str(file), "--register"]
    commands.main(arguments, standalone_mode=False)
    return model


def _score_nights(collection_file: Path, nights: list[str]) -> None:
    from nightglass.night import flow

    for night in nights:
        plan = flow.list_night(str(collection_file), night)
        for shard in flow.validate_night(plan):
            flow.score_night_shard(plan, shard)
        flow.assess_night(plan)
        print(night, flow.publish_night(plan)["sentence"], file=sys.stderr)


def _give_verdicts(dealt: Deal, nights: list[str], split: int) -> None:
    """Let analysts call some of the nights' defects so."""
    from nightglass.retraining.verdicts import NewVerdict
    from nightglass.settings import read_settings
    from nightglass.store import Store

    settings = read_settings()
    places = {(night, path): sha256 for night in nights for path, sha256 in _contents(settings.nights_url, night)}
    defects = [
        (night, cell.name)
        for night, cells in zip(nights, dealt.nights, strict=True)
        for cell in cells
        if cell.label == "defect"
    ]
    chosen = random.Random(split).sample(defects, _LABELLED)  # noqa: S311  as above
    verdicts = [
        NewVerdict(
            night=night,
            scope="image",
            path=path,
            sha256=places[night, path],
            verdict="defect",
            by="benchmark",
            source="cli",
        )
        for night, path in chosen
    ]
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.add_verdicts(_COLLECTION, verdicts, datetime.now(UTC))


def _contents(nights_url: str, night: str) -> list[tuple[str, str]]:
    from nightglass.images.manifest_file import read_manifest
    from nightglass.storage import open_folder

    listed = read_manifest(open_folder(f"{nights_url}/{_COLLECTION}/{night}"), columns=["path", "sha256"]).table
    return list(zip(listed["path"].to_pylist(), listed["sha256"].to_pylist(), strict=True))


def _retrain(collection_file: Path) -> dict[str, Any]:
    from nightglass.retraining import flow
    from nightglass.retraining.plan import TRAINING_NAME, Planned, Request
    from nightglass.retraining.records import GateReport

    request = Request(run="benchmark", requested_by="benchmark", reason="benchmark")
    plan = flow.snapshot(str(collection_file), request)
    if plan is None:
        raise BenchmarkError("expected the champion that the benchmark registered, got another one")
    plan = flow.fit(plan)
    flow.evaluate(plan)
    judged = flow.judge_challenger(plan)
    print(judged["body"], file=sys.stderr)
    promoted = judged["next"] == "promote"
    if promoted:
        flow.promote_challenger(plan, approved_by=None)
    planned = Planned(plan, None)
    gates = GateReport.model_validate_json(planned.place.folder.read_bytes("gates.json"))
    return {
        "outcome": flow.conclude(plan, promoted=promoted, approval=None).outcome,
        "failed": [gate.name for gate in gates.gates if not gate.passed],
        "training": planned.place.folder.read_table(TRAINING_NAME),
        "challenger": planned.challenger.detector.network_path.parent,
    }


def _score(images: Path, model: Path, out: Path, collection: Path) -> Path:
    product.score(images, model, out, collection=collection)
    return out


def _compare(scores: list[dict[str, float]], defects: dict[str, bool], seed: int) -> dict[str, float]:
    """AUROC of both models, and the 95 % interval of the difference by a paired bootstrap over the cells."""
    from sklearn.metrics import roc_auc_score

    names = sorted(defects)
    truth = np.array([defects[name] for name in names])
    found = np.array([[score[name] for name in names] for score in scores])
    champion, challenger = (float(roc_auc_score(truth, each)) for each in found)
    draw = np.random.default_rng(seed)
    differences = []
    for _ in range(1000):
        rows = np.concatenate([draw.choice(np.flatnonzero(truth == kind), (truth == kind).sum()) for kind in (0, 1)])
        before, after = (roc_auc_score(truth[rows], each[rows]) for each in found)
        differences.append(after - before)
    low, high = np.quantile(differences, [0.025, 0.975])
    return {"champion": champion, "challenger": challenger, "low": float(low), "high": float(high)}


def main() -> None:
    """Run every scenario on every split and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--scenarios", nargs="*", choices=sorted(_SCENARIOS), default=list(_SCENARIOS))
    options = parser.parse_args()
    before = dict(os.environ)
    rows = []
    for name in options.scenarios:
        for split in range(options.splits):
            os.environ.clear()
            os.environ |= before
            rows.append(run_scenario(name, split))
            print(table(rows[-1:], _COLUMNS), file=sys.stderr)
    print(table(rows, _COLUMNS))
    results = {
        name: {key: median(row[key] for row in rows if row["scenario"] == name) for key in ("champion", "challenger")}
        for name in options.scenarios
    }
    write_results("retraining", {"rows": rows, "medians": results}, is_trial=options.splits < 3)


if __name__ == "__main__":
    run_main(main)
