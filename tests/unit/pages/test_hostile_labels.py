"""A label of a metric is a name from outside: it makes no other metric and no other label."""

from prometheus_client.parser import text_string_to_metric_families

from nightglass.pages.metrics import Predictions

TOKEN = "the-token-of-this-test"
HOSTILE = 'a"} 1\nnightglass_missing_nights{collection="cells"} 99\n# TYPE x counter\n\\'


def test_the_name_of_a_broken_file_stays_one_label(client, settings, store, monkeypatch):
    (settings.collections_dir / f"{HOSTILE}.yaml").write_text("images: 7\n")
    monkeypatch.setenv("NIGHTGLASS_METRICS_TOKEN", TOKEN)
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    assert {sample.labels["collection"] for sample in samples if "collection" in sample.labels} <= {
        "cells", "lids", HOSTILE,
    }  # fmt: skip
    assert [sample for sample in samples if sample.value == 99] == []


def test_the_same_of_what_predict_counts():
    predictions = Predictions()
    with predictions.measure(HOSTILE):
        pass
    text = predictions.show(lambda _: True).decode()
    counted = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "nightglass_predict_requests_total"
    ]
    assert [(sample.labels["collection"], sample.value) for sample in counted] == [(HOSTILE, 1)]
