"""Gate report and model card: what they show, and what no name can make them do."""

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from nightglass.collection_parts import Gates
from nightglass.collections import default_collection
from nightglass.detector.finetuning_record import Epoch, Finetuning
from nightglass.retraining.card import CardFacts, render_card
from nightglass.retraining.gates import judge
from nightglass.retraining.records import Evaluation, GateReport, SliceFigures, TrainingFacts
from nightglass.retraining.report import gate_markdown, render_gate_report
from tests.unit.retraining.test_gates import alarms, detection, evaluation, paired

HOSTILE = (
    '"><script>alert(1)</script><img src=x onerror=x>|**b** [x](http://evil.example) `c` \u202egnp www.evil.example\n'
    "# h\n- {{ 7 * 7 }} ~~s~~ \\| ![i](x) a@evil.example $x$ </style>"
)


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def proof(text: str = "") -> tuple[Evaluation, GateReport, TrainingFacts]:
    """A refused challenger; ``text`` is added to everything that comes from outside."""
    measured = evaluation(
        labels=detection(auroc=paired(-0.05, 0.02)),
        slices=[
            SliceFigures(
                slice=f"camera=left{text}",
                images=100,
                false_alarms=alarms(2, 12, 1, 90),
                auroc=paired(-0.2, 0.05),
                source="labels",
            ),
            SliceFigures(slice="line=3", images=9, false_alarms=alarms(0, 0, 0, 0), auroc=None, source=None),
        ],
        unreadable=3,
    )
    training = TrainingFacts(
        data_version="1" * 64,
        images=1200,
        defects=0,
        called_normal=5,
        champion_images=1000,
        sources={f"2026-11-{day:02d}{text}": 100 for day in range(1, 13)},
        left_out={f"near-duplicate{text}": 40},
        new_normal=f"a dense group{text}",
    )
    return measured, judge(measured, training, Gates()), training


def tuned(best_epoch: int) -> Finetuning:
    aurocs = (0.91, 0.93, 0.95, 0.94)
    return Finetuning(
        stage=4, good_images=800, labelled_defects=38, held_out_images=400, learning_rate=3e-4, closeness=0.3,
        max_epochs=6, patience=2, least_gain=0.002, batch_images=32, seed=0, threads=1, arithmetic="f32",
        best_epoch=best_epoch,
        epochs=[
            Epoch(training_loss=None, held_out_auroc=auroc, drawn_auroc=auroc, labelled_auroc=None) for auroc in aurocs
        ],
    )  # fmt: skip


def facts(text: str = "", finetuning: Finetuning | None = None) -> CardFacts:
    return CardFacts(
        description=f"Solar cells{text}",
        options=default_collection().detector,
        finetuning=finetuning,
        outcome="rejected",
        run=f"2026-11-19T02:14{text}",
        requested_by=f"olu{text}",
        reason=f"too many anomalies{text}",
        fitted_at="2026-11-19T02:20:00Z",
        answered_by=f"maria{text}",
        answered_at="2026-11-19T07:41:00Z",
        code_version="0.1.0",
    )


def pages(text: str = "") -> dict[str, str]:
    measured, gates, training = proof(text)
    return {
        "report": render_gate_report(measured, gates, training),
        "card": render_card(measured, gates, training, facts(text))[1],
    }


def markdowns(text: str = "") -> dict[str, str]:
    measured, gates, training = proof(text)
    return {
        "gates": gate_markdown(measured, gates, training),
        "card": render_card(measured, gates, training, facts(text))[0],
    }


@pytest.mark.parametrize("kind", ["report", "card"])
def test_a_page_says_what_was_decided_with_every_gate_and_figure(kind: str) -> None:
    measured, gates, _ = proof()
    words = " ".join(Page(pages()[kind]).words.split())
    for gate in gates.gates:
        assert gate.title in words
        assert gate.why in words
    assert gates.sentence.split(": ", 1)[1] in words
    assert measured.challenger.uri in words
    assert "camera=left" in words
    assert "2026-11-12" in words
    assert "3 more could not be read" in words or "3 frozen images could not be read" in words
    assert "\u202f%" not in words


def test_the_card_says_who_answered_what_it_learned_from_and_how_to_make_it_again() -> None:
    for html in (pages()["card"], MarkdownIt("gfm-like").render(markdowns()["card"])):
        text = Page(html).words
        for said in (
            "models:/cells/2",
            "models:/cells/1",
            "Rejected by",
            "maria",
            "tf_efficientnet_lite0",
            "nightglass reproduce models:/cells/2",
            "It has seen no labelled defect",
            "no probability",
            "0" * 64,
            "1" * 64,
        ):
            assert said in text


def test_the_card_says_what_fine_tuning_gave() -> None:
    measured, gates, training = proof()
    cards = [render_card(measured, gates, training, facts(finetuning=done)) for done in (None, tuned(2), tuned(0))]
    plain, gained, nothing = (" ".join((markdown + page).split()) for markdown, page in cards)
    assert "fine-tuning" not in plain
    told = (
        "stage 4, 800 good images and 38 labelled defects; AUROC on held-out images 0.9100 before, 0.9500 after 2 of 3"
    )
    assert gained.count(told) == 2
    assert nothing.count("nothing gained on the AUROC 0.9100 of held-out images, the weights are as they were") == 2


@pytest.mark.parametrize("kind", ["report", "card"])
def test_a_page_asks_no_host_and_runs_nothing_whatever_the_names_are(kind: str) -> None:
    plain, hostile = (pages(text)[kind] for text in ("", HOSTILE))
    page = Page(hostile)
    assert set(page.tags) == set(Page(plain).tags)
    assert "script" not in page.tags
    assert not [value for name, value in page.attributes if name in {"src", "onerror", "style"}]
    assert all(value and value.startswith(("#", "data:,")) for name, value in page.attributes if name == "href")
    assert "\u202e" not in hostile
    assert "\\u202egnp" in page.words
    style = re.search(r"<style>(.*?)</style>", hostile, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(value for name, value in page.attributes if name == "content" and value and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    assert f"'sha256-{digest}'" in policy
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value for name, value in page.attributes if name == "aria-labelledby"} <= set(ids)


@pytest.mark.parametrize("kind", ["gates", "card"])
def test_markdown_reads_as_it_is_whatever_the_names_are(kind: str) -> None:
    renderer = MarkdownIt("gfm-like", {"html": True})
    plain, hostile = (Page(renderer.render(markdowns(text)[kind])) for text in ("", HOSTILE))
    assert hostile.tags == plain.tags  # no element more or less, and every row has its cells
    assert set(hostile.tags) <= {"h1", "h2", "p", "strong", "ul", "li", "pre", "code", "table", "thead", "tbody",
                                 "tr", "th", "td"}  # fmt: skip
    if kind == "card":
        assert "<script>alert(1)</script>" in hostile.words
        assert "|**b** [x](http\u2060://evil.example)" in hostile.words
        assert "{{ 7 * 7 }} ~~s~~ \\|" in hostile.words


def test_the_gates_table_has_a_row_a_gate() -> None:
    _, gates, _ = proof()
    lines = [line for line in markdowns()["gates"].splitlines() if line.startswith("|")]
    assert len(lines) == len(gates.gates) + 2
    assert sum("| NO |" in line for line in lines) == sum(not gate.passed for gate in gates.gates)


def test_the_same_facts_give_the_same_pages() -> None:
    assert pages() == pages()
    assert markdowns() == markdowns()


def test_a_year_of_nights_does_not_fill_the_page() -> None:
    measured, gates, training = proof()
    sources = {f"night {number}": 2 for number in range(400)}
    page = render_gate_report(measured, gates, training.model_copy(update={"sources": sources}))
    assert "night 59" in page
    assert "night 60" not in page
    assert "340 more" in page
    assert "680" in page


def test_nothing_measured_is_said_and_not_left_blank() -> None:
    measured = evaluation(labels=None, drawn=None, false_alarms=alarms(0, 0, 0, 0), rank_correlation=None)
    training = proof()[2]
    gates = judge(measured, training, Gates())
    page = Page(render_gate_report(measured, gates, training)).words
    assert "not measured: no frozen image is presumed good" in page
    assert "Neither labelled defects nor good images" in page
    assert gates.sentence.endswith("false alarms 0 → 0 of 0 good images")
    assert "Neither labelled nor drawn" in render_card(measured, gates, training, facts())[0]
