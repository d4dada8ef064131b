"""A night foretold: what follows from the costs of an image, and how it changes with workers, cores and sizes."""

import pytest

from nightglass.capacity.forecast import TASK_SECONDS, Question, forecast
from nightglass.capacity.stage_costs import StageCosts, share_stages


def costs(**changes):
    fields = {
        "source": "table", "told": "a test", "device": "cpu", "cores": 2, "images": 100, "megapixels": 1.0,
        "image_bytes": 300_000.0, "list_seconds": 0.001, "shard_seconds": 0.01,
        "stage_shares": {"wait": 0.1, "decode": 0.5, "embed": 0.3, "search": 0.1}, "load_seconds": 1.0,
        "finish_seconds": 2.0, "row_bytes": 500.0, "picture_bytes": 40_000.0,
    }  # fmt: skip
    return StageCosts.model_validate(fields | changes)


def question(**changes):
    fields = {
        "images": 100_000, "workers": 1, "cores": 2, "store_bytes_per_second": None, "shard_size": 2000,
        "batch_size": 32, "top_k": 20,
        "price_per_hour": None, "currency": "USD",
    }  # fmt: skip
    return Question.model_validate(fields | changes)


def test_every_figure_of_one_worker_adds_up():
    found = forecast(question(price_per_hour=3.6), costs())
    assert (found.shards, found.images_per_shard, found.rounds) == (50, 2000, 50)
    assert found.wall_parts["list"] == 100
    assert found.wall_parts["score"] == 1000 + 50
    assert found.wall_parts["finish"] == pytest.approx(2 + 2.25, abs=0.1)
    assert found.wall_parts["task starts"] == pytest.approx(54 * TASK_SECONDS)
    assert found.wall_seconds == pytest.approx(sum(found.wall_parts.values()), abs=0.2)
    assert found.compute_seconds == 100 + 1000 + 50 + 2
    assert found.cost == pytest.approx(1.152)
    assert found.cost_per_1000_images == pytest.approx(0.01152)
    assert found.cost_of_workers == pytest.approx(found.wall_seconds * 0.001, rel=0.001)
    assert found.read_bytes == 2 * 100_000 * 300_000
    assert found.read_requests == 200_100
    assert found.kept_bytes == 100_000 * 500 + 20 * 40_000
    assert found.written_bytes == found.kept_bytes + 100_000 * 500
    assert found.limited_by == "decoding"


def test_workers_shorten_the_scoring_and_cost_the_same():
    one, eight = (forecast(question(workers=workers, price_per_hour=1.0), costs()) for workers in (1, 8))
    assert eight.rounds == 7
    assert eight.wall_parts["score"] == pytest.approx(7 * (2000 * 0.01 + 1))
    assert eight.wall_parts["list"] == one.wall_parts["list"]
    assert eight.compute_seconds == one.compute_seconds
    assert eight.cost == one.cost
    assert eight.cost_of_workers > one.cost_of_workers
    assert "in the last round 6 of 8 workers have nothing to do" not in one.notes


def test_a_small_last_shard_does_not_count_as_a_whole_one():
    found = forecast(question(images=4100, workers=2), costs(load_seconds=0.0))
    assert (found.shards, found.rounds) == (3, 2)
    assert found.wall_parts["score"] == pytest.approx(21)


def test_a_night_has_at_most_256_shards_and_more_workers_than_that_are_told():
    found = forecast(question(images=1_000_000, workers=300), costs())
    assert (found.shards, found.images_per_shard, found.rounds) == (256, 3907, 1)
    assert any("44 of 300 workers get no shard" in note for note in found.notes)


def test_listing_limits_when_many_workers_score():
    found = forecast(question(images=1_000_000, workers=64), costs())
    assert found.limited_by.startswith("listing")
    assert any("more workers shorten only the scoring" in note for note in found.notes)


def test_cores_shorten_listing_and_scoring_alike():
    two, eight = (forecast(question(cores=cores), costs()) for cores in (2, 8))
    assert eight.wall_parts["list"] == two.wall_parts["list"] / 4
    assert eight.wall_parts["score"] == pytest.approx(1000 / 4 + 50)
    assert eight.shard_memory_mb > two.shard_memory_mb


def test_larger_images_cost_more_to_read_and_decode_only():
    large = costs().at(4.0, None)
    assert large.shard_seconds == pytest.approx(0.01 * (0.4 + 0.6 * 4))
    assert large.stage_shares["decode"] == pytest.approx(0.5 * 4 / 2.8)
    assert sum(large.stage_shares.values()) == pytest.approx(1)
    assert (large.image_bytes, large.list_seconds) == (1_200_000, 0.004)
    assert costs().at(4.0, 7.0).image_bytes == 7.0
    assert costs().at(None, None) == costs()
    # A batch of encoded files never takes more than 64 MiB.
    memory = forecast(question(), costs(image_bytes=50e6)).shard_memory_mb
    assert memory == round(410 + 5 * 64 * 1024 * 1024 / 1e6)


def test_a_slow_store_limits_listing_and_scoring():
    found = forecast(question(store_bytes_per_second=15e6), costs(load_seconds=0.0))  # 20 ms an image
    assert found.wall_parts["list"] == pytest.approx(2000)
    assert found.wall_parts["score"] == pytest.approx(2000)
    assert costs().read_at(15e6).stage_shares["wait"] == pytest.approx(0.55)
    assert sum(costs().read_at(15e6).stage_shares.values()) == pytest.approx(1)
    assert forecast(question(store_bytes_per_second=1e12), costs()) == forecast(question(), costs())


def test_no_price_no_cost():
    found = forecast(question(), costs())
    assert (found.cost, found.cost_per_1000_images, found.cost_of_workers) == (None, None, None)


def test_shares_of_stages_are_of_the_working_threads_only():
    assert share_stages({"decode": 3.0, "embed": 1.0, "list": 100.0, "read": 50.0}) == {
        "wait": 0.0, "decode": 0.75, "embed": 0.25, "search": 0.0,
    }  # fmt: skip
    assert share_stages({}) == {"decode": 1.0}
