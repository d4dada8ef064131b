"""Shards of one night from machines of different kinds: told, as the same image gets nearly, not exactly, one score."""

import logging
from pathlib import Path

import pytest

from nightglass.engine.score import finish_scores, score_shards
from nightglass.engine.shards import plan_shards
from nightglass.images.manifest import build_manifest
from tests.conftest import write_panels
from tests.unit.engine.test_score import job


@pytest.mark.parametrize("names", [["openvino-f32"] * 2, ["openvino-f32", "torch-bf16-cuda"]])
def test_shards_that_were_computed_in_different_ways_are_told(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, names: list[str]
) -> None:
    images, out = write_panels(tmp_path / "images", range(500, 512)), tmp_path / "out"
    first = job(model, images, out, shard_size=6)
    manifest = build_manifest(first.images, first.collection.suffixes, first.collection.scoring, workers=2)
    shards = plan_shards(len(manifest), 6)
    for shard, name in zip(shards, names, strict=True):
        each = job(model, images, out, shard_size=6)
        backend = each.detector.open_backend(2)
        backend.name = name
        vars(each)["backend"] = backend
        score_shards(each, manifest, [shard], lambda *_: None)
    with caplog.at_level(logging.WARNING, logger="nightglass"):
        summary = finish_scores(first, manifest, shards)
    assert summary["backends"] == sorted(set(names))
    assert ("computed in different ways (openvino-f32, torch-bf16-cuda)" in caplog.text) == (len(set(names)) > 1)
