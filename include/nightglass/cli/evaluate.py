"""``nightglass evaluate``."""

from pathlib import Path
from typing import Any

import click

from nightglass.cli.common import json_option, print_result, showing_progress


@click.command()
@click.option("--scores", required=True, help="Folder or s3:// address that `nightglass score` wrote.")
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="CSV path,label (defect or normal).")
@json_option
def evaluate(*, scores: str, labels: Path, as_json: bool) -> None:
    """Measure AUROC, AP and rates of scores against labels."""
    from nightglass.engine.evaluation import evaluate_scores
    from nightglass.engine.merge import SCORES_NAME
    from nightglass.images.labels import read_labels
    from nightglass.storage import open_folder

    with showing_progress():
        known = read_labels(labels)
        table = open_folder(scores).read_table(SCORES_NAME, ["path", "image_score", "is_anomalous"])
        figures = evaluate_scores(table, known)
    print_result(figures, as_json=as_json, tell=_tell)


def _tell(figures: dict[str, Any]) -> str:
    lines = [f"{figures['images']} labelled images: {figures['defects']} defects, {figures['normals']} normal"]
    for name in ("auroc", "average_precision", "detection_rate", "false_alarm_rate"):
        figure = figures[name]
        if figure is not None:
            interval = f"[{figure['low']:.4f}, {figure['high']:.4f}]"
            lines.append(f"{name.replace('_', ' '):20} {figure['value']:.4f}  95 % interval {interval}")
    recall = figures["recall_at_1pct_false_alarms"]
    if recall is not None:
        lines.append(f"{'recall at 1 % false alarms':20} {recall:.4f}")
    unmatched = figures["scored_without_label"] + figures["labels_without_score"]
    if unmatched:
        lines.append(
            f"not compared: {figures['scored_without_label']} scored images without a label, "
            f"{figures['labels_without_score']} labels without a score"
        )
    return "\n".join(lines)
