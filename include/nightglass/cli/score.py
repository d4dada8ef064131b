"""``nightglass score``."""

from pathlib import Path
from typing import Any

import click

from nightglass.cli.common import choose_collection, collection_option, json_option, print_result, showing_progress


@click.command()
@click.option("--images", required=True, help="Folder or s3:// address of the images.")
@click.option("--model", required=True, help="Detector folder, or models:/NAME@champion.")
@click.option("--out", required=True, help="Folder or s3:// address that the results are written to.")
@click.option("--top-k", type=click.IntRange(1, 1000), help="How many of the highest scores are explained.")
@collection_option
@json_option
def score(*, images: str, model: str, out: str, top_k: int | None, collection_file: Path | None, as_json: bool) -> None:
    """Score every image of a folder; a run that was killed goes on where it stopped."""
    from nightglass.engine.score import ScoreJob, score_folder
    from nightglass.engine.stage_times import count_workers
    from nightglass.models import find_model
    from nightglass.settings import read_settings
    from nightglass.storage import open_folder

    collection = choose_collection(collection_file)
    with showing_progress() as bars:
        found = find_model(model, read_settings())
        job = ScoreJob(
            images=open_folder(images),
            out=open_folder(out),
            detector=found.detector,
            model=model,
            collection=collection,
            workers=count_workers(),
            top_k=top_k or collection.scoring.top_k,
        )
        summary = score_folder(job, bars)
    print_result(summary, as_json=as_json, tell=lambda result: _tell(result, out))


def _tell(result: dict[str, Any], out: str) -> str:
    from nightglass.engine.stage_times import WORKING_STAGES

    lines = [
        f"{result['anomalous']} of {result['scored']} images are anomalous (score >= {result['image_threshold']:.3f})",
        f"{result['quarantined']} quarantined, {result['ignored']} other files ignored",
        f"{result['images_per_second']:.0f} images/s, {result['seconds']:.1f} s",
        f"results: {out}",
    ]
    if result["limited_by"]:
        spent = {name: result["stage_seconds"].get(stage, 0.0) for stage, name in WORKING_STAGES.items()}
        shares = ", ".join(f"{name} {seconds / sum(spent.values()):.0%}" for name, seconds in spent.items())
        lines.insert(3, f"limited by {result['limited_by']}; of the workers' time: {shares}")
    return "\n".join(lines)
