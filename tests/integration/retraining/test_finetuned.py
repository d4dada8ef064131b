"""A challenger with a tuned backbone: registered with its course, and built again from its record."""

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nightglass.detector.files import read_description
from nightglass.models import find_model
from nightglass.retraining import flow
from nightglass.settings import read_settings
from tests.integration.retraining_steps import MODEL, Home
from tests.integration.retraining_story import Begin

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]


def adapt(home: Home, how: str) -> None:
    file = Path(home.file)
    text = file.read_text().replace("  adapt: finetune\n", "")
    file.write_text(text.replace("retraining:\n", "retraining:\n  adapt: finetune\n") if how == "finetune" else text)


def test_a_tuned_challenger_keeps_its_course_and_is_reproduced(
    begin: Begin, nightglass: Run, caplog: pytest.LogCaptureFixture
) -> None:
    home, plan = begin("fit")
    adapt(home, "finetune")
    with caplog.at_level(logging.INFO, logger="nightglass"):
        plan = flow.fit(plan)
    assert plan.challenger is not None
    found = find_model(plan.challenger.uri, read_settings())
    done = read_description(found.detector.network_path.parent).finetuning
    assert done is not None
    assert sum("fine-tuning: epoch" in message for message in caplog.messages) == len(done.epochs) > 1
    run_id = home.client.get_model_version(MODEL, plan.challenger.version).run_id
    assert run_id is not None
    run = home.client.get_run(run_id)
    assert run.data.params["finetuning_best_epoch"] == str(done.best_epoch)
    assert run.data.params["finetuning_learning_rate"] == str(done.learning_rate)
    course = home.client.get_metric_history(run_id, "finetuning_held_out_auroc")
    assert [(metric.step, metric.value) for metric in course] == [
        (step, epoch.held_out_auroc) for step, epoch in enumerate(done.epochs)
    ]
    losses = home.client.get_metric_history(run_id, "finetuning_training_loss")
    assert [metric.step for metric in losses] == list(range(1, len(done.epochs)))
    # The record decides what is rebuilt, not what the collection's file says by now.
    adapt(home, "head")
    again = nightglass("reproduce", plan.challenger.uri, "--collection", home.file, "--json")
    assert again.returncode == 0, again.stderr
    reproduced = json.loads(again.stdout)
    assert reproduced["identical"]
    assert reproduced["max_score_difference"] == 0
    assert reproduced["reproduced_fingerprint"] == found.detector.fingerprint
