"""A challenger that scores nights beside the champion before it may take its place: the whole story, and its ends."""

import json
from pathlib import Path

import pytest

from nightglass import promotion
from nightglass.collections import read_collection
from nightglass.errors import InputError, ModelError
from nightglass.night import flow as night_flow
from nightglass.night.shadow_records import ShadowNight
from nightglass.registry import Registry
from nightglass.retraining import flow
from nightglass.settings import read_settings
from tests.integration.retraining_shadow import (
    FIRST,
    SECOND,
    THIRD,
    begin_shadow,
    files_of,
    publish_night,
    shadow,
    want_shadow,
)
from tests.integration.retraining_steps import MODEL, RUN, conclude, promote
from tests.integration.retraining_story import Begin, Story, folder_of

pytestmark = pytest.mark.integration


def test_a_challenger_shadows_two_nights_and_is_promoted(story: Story, begin: Begin) -> None:
    home, plan = begin_shadow(begin)
    with pytest.raises(InputError, match="expected a challenger that shadowed the champion"):
        promote(plan)
    for night, seen in ((FIRST, 1), (SECOND, 2)):
        night_plan = publish_night(story, home, night)
        before = files_of(home, night)
        done = shadow(night_plan)
        assert isinstance(done, dict), done
        assert (done["decision"] in {"ok", "watch"}, done["changed"]) == (True, True)
        after = files_of(home, night)
        assert {name: before[name] for name in before if name != "report.html"}.items() <= after.items()
        page = after["report.html"].decode()
        assert f"{seen} of 2 nights seen" in page
        assert "<img src=x" not in page
        assert len(page) < 5_000_000
        # The challenger is the answer: the night's decision asks for no other one.
        again = night_flow.publish_night(night_plan)
        assert (again["decision"], again["challenger"]) == ("retrain", "2")
        if seen == 1:
            assert flow.shadow_challenger(plan) is None
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert (judged["passed"], judged["next"]) == (True, "promote")
    assert "Nights beside the champion" in str(judged["body"])
    assert flow.shadow_challenger(plan) == judged
    assert promote(plan).champion.version == "2"
    assert conclude(plan).outcome == "promoted"
    assert home.log() == ["2", "1"]
    assert home.query("SELECT passed, outcome FROM gates WHERE name = 'shadow'") == [(1, "promoted")]
    ((version, champion, challenger, scored),) = home.query(
        "SELECT challenger_version, champion_anomalous, challenger_anomalous, scored FROM shadow_nights"
        f" WHERE night = '{FIRST}'"
    )
    ((anomalous, all_scored),) = home.query(f"SELECT anomalous, scored FROM nights WHERE night = '{FIRST}'")
    assert (version, champion, scored) == ("2", anomalous, all_scored)
    assert challenger < champion / 2
    # Cleared as a whole, after the promotion.
    assert flow.shadow_challenger(plan) == judged
    assert promote(plan).is_new is False


def test_a_second_time_changes_nothing_and_what_was_scored_is_not_scored_again(story: Story, begin: Begin) -> None:
    home, _ = begin_shadow(begin)
    plan = publish_night(story, home, FIRST)
    shadow(plan)
    files, rows = files_of(home, FIRST), home.every_row()
    (story.images / FIRST / "early").rename(story.images / "aside")
    try:
        done = shadow(plan)
    finally:
        (story.images / "aside").rename(story.images / FIRST / "early")
    assert isinstance(done, dict)
    assert done["changed"] is False
    assert (files_of(home, FIRST), home.every_row()) == (files, rows)
    found = ShadowNight.model_validate_json(files["shadow.json"])
    assert found.disagreements
    assert all(image.image in files for image in found.disagreements)
    night_flow.publish_night(plan)
    assert files_of(home, FIRST)["report.html"] == files["report.html"]


def test_scoring_again_or_other_images_forget_what_the_shadow_saw(story: Story, begin: Begin) -> None:
    home, _ = begin_shadow(begin)
    shadow(publish_night(story, home, FIRST))
    more = story.images / FIRST / "early" / "more.png"
    more.write_bytes(next((story.images / FIRST / "late").iterdir()).read_bytes())
    try:
        night_flow.list_night(home.file, FIRST)
    finally:
        more.unlink()
    assert home.query("SELECT * FROM shadow_nights") == []
    assert not [name for name in files_of(home, FIRST) if name.startswith("shadow")]
    shadow(publish_night(story, home, FIRST))
    assert len(home.query("SELECT * FROM shadow_nights")) == 1
    night_flow.list_night(home.file, FIRST, rescore=True)
    assert home.query("SELECT * FROM shadow_nights") == []
    assert not [name for name in files_of(home, FIRST) if name.startswith("shadow")]


def test_a_failing_shadow_leaves_the_published_night(story: Story, begin: Begin) -> None:
    home, plan = begin_shadow(begin)
    night_plan = publish_night(story, home, FIRST)
    files, rows = files_of(home, FIRST), home.query("SELECT * FROM nights")
    home.execute("UPDATE shadows SET challenger_version = '77'")
    with pytest.raises(ModelError, match="77"):
        shadow(night_plan)
    assert (files_of(home, FIRST), home.query("SELECT * FROM nights")) == (files, rows)
    home.execute("UPDATE shadows SET challenger_version = '2'")
    assert isinstance(shadow(night_plan), dict)
    assert flow.shadow_challenger(plan) is None


def test_a_night_that_would_ask_again_refuses_the_challenger_at_once(story: Story, begin: Begin) -> None:
    home, plan = begin_shadow(begin, psi=0.001)
    done = shadow(publish_night(story, home, FIRST))
    assert isinstance(done, dict)
    assert done["decision"] == "retrain"
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert (judged["passed"], judged["next"]) == (False, "conclude")
    with pytest.raises(InputError, match="expected a challenger that met every gate, got: Refused by 1 of"):
        promote(plan)
    ended = conclude(plan, promoted=False)
    assert ended.outcome == "refused"
    assert home.query("SELECT outcome, failed_gates FROM retrainings") == [("refused", "shadow")]
    assert "would have asked for retraining" in (folder_of(home) / "card.md").read_text()
    assert home.log() == [home.alias()] == ["1"]


def test_too_few_nights_in_time_are_a_rejection_that_says_so(story: Story, begin: Begin) -> None:
    home, plan = begin_shadow(begin, nights=3)
    shadow(publish_night(story, home, FIRST))
    assert flow.shadow_challenger(plan) is None
    home.execute("UPDATE shadows SET began_at = '2026-01-01T00:00:00.000000Z'")
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert judged["next"] == "conclude"
    ended = conclude(plan, promoted=False)
    assert ended.outcome == "rejected"
    assert ended.sentence.endswith("It was not promoted: the shadow saw 1 of 3 nights in 30 days.")
    assert home.query("SELECT outcome, failed_gates FROM retrainings") == [("rejected", "")]
    assert "the shadow saw 1 of 3 nights in 30 days" in (folder_of(home) / "card.md").read_text()
    with pytest.raises(InputError, match="expected a challenger that shadowed the champion"):
        promote(plan)
    assert night_flow.publish_night(night_flow.list_night(home.file, FIRST))["challenger"] is None
    # No night is scored twice for what has ended.
    assert shadow(publish_night(story, home, SECOND)) == "no challenger shadows the champion"


def test_another_champion_meanwhile_ends_it(story: Story, begin: Begin) -> None:
    home, plan = begin_shadow(begin)
    shadow(publish_night(story, home, FIRST))
    settings, collection = read_settings(), read_collection(Path(home.file))
    champion = flow.Planned(plan, None).champion.detector.network_path.parent
    other = Registry.open(settings).register_detector(champion, name=MODEL, params={}, metrics={}, tags={})
    promotion.promote(collection, other, settings, by="ana", reason="by hand")
    night_plan = publish_night(story, home, SECOND)
    assert shadow(night_plan) == "challenger 2 shadows champion 1, the night was scored by 3"
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert judged["next"] == "conclude"
    ended = conclude(plan, promoted=False)
    assert ended.outcome == "rejected"
    assert "champion 1, which it shadowed, was replaced by 3 when the shadow had seen 1 of 2 nights" in ended.sentence
    assert home.log() == [other, "1"]
    assert home.query("SELECT ending FROM shadow_nights") == [("champion_changed",)]


def test_somebody_who_cannot_wait_promotes_it(begin: Begin) -> None:
    home, plan = begin_shadow(begin)
    promotion.promote(read_collection(Path(home.file)), "2", read_settings(), by="ana", reason="by hand")
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert judged["next"] == "conclude"
    ended = conclude(plan, promoted=False)
    assert ended.outcome == "promoted"
    assert ended.sentence.endswith("It is the champion: somebody promoted it when the shadow had seen 0 of 2 nights.")
    assert home.log() == ["2", "1"]


def test_a_retraining_that_is_concluded_ends_its_shadow(story: Story, begin: Begin) -> None:
    home, plan = begin_shadow(begin)
    night_plan = publish_night(story, home, FIRST)
    shadow(night_plan)
    assert night_flow.publish_night(night_plan)["challenger"] == "2"
    # A gate is stricter by now, and somebody clears the judgement.
    file = Path(home.file)
    file.write_text(file.read_text().replace("size_ratio: 10", "size_ratio: 10, confidence: 0.9999999999"))
    assert flow.judge_challenger(plan)["next"] == "conclude"
    ended = conclude(plan, promoted=False)
    assert ended.outcome == "refused"
    said = "its retraining was concluded when the shadow had seen 1 of 2 nights"
    assert home.query("SELECT ending, sentence FROM shadows") == [("given_up", said)]
    assert night_flow.publish_night(night_plan)["challenger"] is None
    rows = home.query("SELECT * FROM shadows")
    assert conclude(plan, promoted=False) == ended
    assert home.query("SELECT * FROM shadows") == rows
    # The gate was a mistake.
    file.write_text(file.read_text().replace(", confidence: 0.9999999999", ""))
    assert flow.judge_challenger(plan)["next"] == "shadow"
    assert flow.shadow_challenger(plan) is None
    assert home.query("SELECT after_night, ending FROM shadows") == [(FIRST, None)]


def test_a_shadow_that_was_given_up_holds_no_request_back_for_ever(story: Story, begin: Begin) -> None:
    home, _ = begin_shadow(begin, nights=3)
    plan = publish_night(story, home, FIRST)
    assert night_flow.publish_night(plan)["challenger"] == "2"
    file = Path(home.file)
    wanted = file.read_text()
    file.write_text(wanted.replace("shadow: {nights: 3,", "shadow: {nights: 0,"))
    assert night_flow.publish_night(plan)["challenger"] is None
    file.write_text(wanted)
    home.execute("UPDATE shadows SET began_at = '2026-01-01T00:00:00.000000Z'")
    assert night_flow.publish_night(plan)["challenger"] is None
    assert shadow(plan) == "the 30 days of the shadow are over"
    assert home.query("SELECT ending FROM shadows") == [(None,)]


def test_what_another_version_wrote_is_written_anew(story: Story, begin: Begin) -> None:
    home, _ = begin_shadow(begin)
    plan = publish_night(story, home, FIRST)
    shadow(plan)
    files = files_of(home, FIRST)
    (home.path / "nights/panels" / FIRST / "shadow.json").write_text('{"night": 1}')
    published = night_flow.publish_night(plan)
    assert (published["decision"], published["changed"]) == ("retrain", False)
    assert "What a challenger made of this night is not shown." in files_of(home, FIRST)["report.html"].decode()
    second = publish_night(story, home, SECOND)
    assert isinstance(shadow(second), dict)
    done = shadow(plan)
    assert isinstance(done, dict)
    assert done["changed"] is False
    assert files_of(home, FIRST) == files


def test_nights_that_the_challenger_may_know_and_nights_too_many_are_skipped(story: Story, begin: Begin) -> None:
    home, plan = begin_shadow(begin, nights=1)
    old = night_flow.list_night(home.file, "2026-03-05")
    assert str(shadow(old)).startswith("the shadow looks at nights after 2026-03-05")
    shadow(publish_night(story, home, FIRST))
    assert shadow(publish_night(story, home, SECOND)) == "the shadow has seen enough nights"
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert judged["passed"]


def test_without_a_shadow_in_the_file_everything_is_as_before(story: Story, begin: Begin) -> None:
    home, plan = begin("judge_challenger")
    assert flow.judge_challenger(plan)["next"] == "promote"
    assert shadow(publish_night(story, home, THIRD)) == "no challenger shadows the champion"
    # Somebody wants one only when the gates were judged.
    want_shadow(home)
    with pytest.raises(InputError, match="clear the task 'shadow_challenger'"):
        promote(plan)
    assert json.loads((folder_of(home) / "gates.json").read_text())["passed"]
    assert home.query("SELECT run FROM retrainings") == [] != [(RUN,)]
