"""Two versions side by side, and a version's card: what they show, and what they say where something is not known."""

import re
import shutil

import pytest

from nightglass.night.report.figures import NOTHING
from tests.unit.pages.models_story import register, retrain, tell_story
from tests.unit.pages.test_models import PAGE, rows, words


@pytest.fixture
def told(ana, store, home, empty_mlflow):
    tell_story(store, home)
    register(home, empty_mlflow)
    return ana


def section(html, name):
    return re.search(rf'<section[^>]*aria-labelledby="{name}".*?</section>', html, re.DOTALL)[0]


def test_versions_that_met_are_shown_on_the_same_images(told):
    html = told.get(f"{PAGE}/compare?left=1&right=2").text
    assert "Version 2 was the challenger and version 1 the champion, on the same 450 frozen images" in words(html)
    assert "AUROC, labelled defects" in section(html, "detection")
    assert "0.900" in section(html, "detection")
    assert "0.930" in section(html, "detection")
    assert "30.0 ms" in section(html, "cost").replace("\u202f", " ")
    assert told.get(f"{PAGE}/compare?left=2&right=1").text.count("They met") == 1


def test_versions_that_never_met_say_what_each_was_compared_with(told):
    html = told.get(f"{PAGE}/compare?left=2&right=3").text
    assert "They never met" in html
    assert "from different frozen images" in html
    assert words(html).count("As a challenger it was compared with version 1 on 450 frozen images") == 2
    (auroc,) = [row for row in rows(section(html, "figures"), "compared") if row.startswith("AUROC, labelled")]
    assert "0.930" in auroc
    assert "0.700" in auroc
    assert auroc.count("against version 1") == 2


def test_gates_stand_row_by_row(told):
    html = told.get(f"{PAGE}/compare?left=2&right=3").text
    gates = rows(section(html, "gates"), "compared")
    (labels,) = [row for row in gates if row.startswith("Ranks labelled defects")]
    assert re.search(r"passed 0\.930 .* failed 0\.700", labels), labels
    assert "limit ≥" in labels


def test_a_version_without_gates_has_the_figures_that_it_had_as_the_champion(told, store, home):
    shutil.rmtree(home / "retraining/cells/run-2")
    html = told.get(f"{PAGE}/compare?left=1&right=3").text
    assert "No gates judged it. Its figures are those that it had as the champion" in words(html)
    (labels,) = [row for row in rows(section(html, "gates"), "compared") if row.startswith("Ranks labelled defects")]
    assert labels.startswith(f"Ranks labelled defects {NOTHING}")
    assert "They met" in html  # as champion and challenger of version 3's retraining


def test_a_proof_that_is_gone_leaves_the_gates(told):
    html = told.get(f"{PAGE}/compare?left=3&right=4").text
    assert "cannot be read" in html
    assert "/nowhere" not in section(html, "compared")
    (labels,) = [row for row in rows(section(html, "gates"), "compared") if row.startswith("Ranks labelled defects")]
    assert re.search(r"failed 0\.700 .* passed 0\.930", labels), labels


def test_parameters_that_differ_and_training_sets(told):
    html = told.get(f"{PAGE}/compare?left=1&right=2").text
    differing = rows(section(html, "parameters"), "compared")
    assert "num_neighbors 3 4" in differing
    assert "images in the memory bank 100 200" in differing
    assert not [row for row in differing if row.startswith(("backbone name", "image threshold"))]
    training = rows(section(html, "training"), "compared")
    assert "labelled defects 0 40" in training
    assert f"nights they come from {NOTHING} 2, 2026-07-02 to 2026-07-03" in training
    assert any(row.startswith("data version 111111111111 222222222222") for row in training)
    assert "nights judged 7, 2026-07-01 to 2026-07-09 2, 2026-07-05 to 2026-07-06" in rows(
        section(html, "judged"), "compared"
    )


def test_a_version_whose_detector_cannot_be_asked_is_compared_all_the_same(told):
    html = told.get(f"{PAGE}/compare?left=4&right=5").text
    assert "No retraining measured it" in html
    assert "nights judged 3, 2026-07-10 to 2026-07-12 none" in rows(section(html, "judged"), "compared")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("left=1&right=1", 422),
        ("left=1&right=99", 404),
        ("left=1", 422),
        ("left=1&right=../2", 422),
        ("left=0&right=1", 422),
        (f"left=1&right={'9' * 40}", 422),
    ],
)
def test_what_is_no_pair_of_versions_is_told(told, query, status):
    assert told.get(f"{PAGE}/compare?{query}").status_code == status


def test_a_card_shows_what_the_retraining_measured_and_who_let_it_in(told):
    html = told.get(f"{PAGE}/2/card").text
    text = words(html)
    assert "Version 2 was champion" in text
    assert "Promoted by olu at 2026-07-05 04:00" in text
    assert "Approved by olu, 2026-07-05 04:00" in text
    assert "Asked for by the nightly decision: 2026-07-04" in text
    assert "What analysts taught it comes from 40 labelled defects" in text
    assert "num_neighbors 4" in text
    assert [row[:8] for row in rows(html, "gates")] == ["passed E", *[row[:8] for row in rows(html, "gates")][1:]]
    assert len(rows(html, "gates")) == 11
    assert "nightglass reproduce models:/nightglass-cells/2" in text


def test_the_stored_pages_are_never_handed_out(told):
    for version in ("1", "2", "3", "4", "5"):
        html = told.get(f"{PAGE}/{version}/card").text
        assert "'stored'" not in html
        assert "&#39;stored" not in html


def test_a_refused_versions_card_says_which_gate_it_failed(told):
    html = told.get(f"{PAGE}/3/card").text
    assert 'class="decision retrain"' in html
    assert "nobody was asked: not every gate was met" in words(html)
    failed = [row for row in rows(html, "gates") if row.startswith("failed")]
    assert [row.split(maxsplit=1)[1][:22] for row in failed] == ["Ranks labelled defects", "Better than the champi"]


def test_a_version_by_hand_has_a_card_too(told):
    html = told.get(f"{PAGE}/1/card").text
    assert "no gates judged it" in html
    assert "It judged 7 nights, 2026-07-01 to 2026-07-09: 410 of 7,000 images anomalous" in words(html)
    assert "num_neighbors 3" in words(html)
    assert told.get(f"{PAGE}/77/card").status_code == 404


def test_a_card_without_the_retrainings_folder_has_its_gates(told):
    html = told.get(f"{PAGE}/4/card").text
    assert "only what the database keeps is shown" in html
    assert len(rows(html, "gates")) == 11
    assert "AUROC, drawn defects" not in html


def test_a_folder_that_was_damaged_is_told_and_hides_nothing_else(told, home):
    (home / "retraining/cells/run-2/evaluation.json").write_text('{"collection": "cells"')
    html = told.get(f"{PAGE}/2/card").text
    assert "only what the database keeps is shown" in html
    assert len(rows(html, "gates")) == 11


def test_a_retraining_that_ran_again_is_read_again(told, store, home):
    assert "0.930" in told.get(f"{PAGE}/2/card").text
    from tests.unit.retraining.test_gates import detection, paired

    shutil.rmtree(home / "retraining/cells/run-2")
    with store:
        better = {"labels": detection(auroc=paired(0.055, p_value=0.001))}
        retrain(store, home / "retraining/cells/run-2", "2", "1", "promoted", **better)
    assert "0.955" in told.get(f"{PAGE}/2/card").text
