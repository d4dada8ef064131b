"""``nightglass reproduce``."""

from typing import Any

import click

from nightglass.cli.common import json_option, named_collection, print_result, showing_progress


@click.command()
@click.argument("model")
@click.option("--collection", "collection_name", required=True, help="YAML file or name of the model's collection.")
@json_option
def reproduce(*, model: str, collection_name: str, as_json: bool) -> None:
    """Fit MODEL (models:/NAME/VERSION) once more from its recorded images, and say whether it is the same."""
    from nightglass.engine.stage_times import count_workers
    from nightglass.errors import ModelError
    from nightglass.models import find_model
    from nightglass.retraining.reproduction import reproduce as fit_again
    from nightglass.settings import read_settings

    _, collection = named_collection(collection_name)
    with showing_progress():
        found = find_model(model, read_settings())
        done = fit_again(found, collection, storage_options=None, workers=count_workers())
    print_result(done.model_dump(), as_json=as_json, tell=_tell)
    if not done.identical:
        raise ModelError(f"{model}: expected the same detector again, got another one")


def _tell(result: dict[str, Any]) -> str:
    compared = f"image scores of {result['compared']} of them differ by at most {result['max_score_difference']:.3g}"
    lines = [f"fitted again on {result['images']} images; {compared}"]
    if result["identical"]:
        return "\n".join([*lines, f"identical: fingerprint {result['fingerprint'][:12]}"])
    return "\n".join([*lines, "different:", *(f"- {difference}" for difference in result["differences"])])
