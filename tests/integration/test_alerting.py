"""Alerts from what happened to what people read: through the log, Apprise, a real mail server and a real webhook."""

import importlib.util
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightglass.alerting import Audience, tell, tell_recovery
from nightglass.alerting.wording import about_decision, about_failure, about_service
from nightglass.errors import AccessDeniedError, StorageError
from nightglass.records import Verb
from nightglass.settings import Settings
from nightglass.store import Store

pytestmark = pytest.mark.integration

spec = importlib.util.spec_from_file_location("mail", Path(__file__).with_name("mail.py"))
assert spec
assert spec.loader
mail = importlib.util.module_from_spec(spec)
sys.modules["mail"] = mail
spec.loader.exec_module(mail)

RUN = "http://airflow.example:8080/dags/nightly_cells/runs/scheduled__2026-03-15"
REPORT = "s3://nightglass/nights/cells/2026-03-14/report.html"


@pytest.fixture
def mailbox() -> Iterator[tuple[object, str]]:
    """A mailbox, and the Apprise address that leads to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = mail.Mailbox()
    server = mail.mail_server(box, port)
    server.start()
    yield (
        box,
        f"mailto://ana:{mail.PASSWORD}@127.0.0.1:{port}?from=nightglass@example.org&to=ana@example.org&mode=insecure",
    )
    server.stop()


@pytest.fixture
def settings(tmp_path: Path, sql_dir: Path) -> Settings:
    return Settings(home=tmp_path / "home", sql_dir=sql_dir, ui_url="http://airflow.example:8080").resolved()


@pytest.fixture
def people(webhook) -> Iterator[Audience]:
    webhook.messages.clear()
    yield Audience("people", (webhook.url,))
    webhook.messages.clear()


def failure(collection: str, error: Exception | None = None):
    error = error or AccessDeniedError(f"s3://line/{collection}/a.jpg: access denied (403)")
    return about_failure(
        collection, "2026-03-14", f"nightly_{collection}", "list_images", error, RUN, run="r1", is_mapped=False
    )


def test_a_decision_as_a_mail(mailbox, settings, make_assessment) -> None:
    box, url = mailbox
    alert = about_decision(make_assessment(verb=Verb.RETRAIN, anomalous=40), REPORT, RUN)
    assert tell(alert, Audience("", (url,)), settings)
    (found,) = box.mails
    assert (found["Subject"], found["To"]) == ("Nightglass: cells 2026-03-14: retrain", "ana@example.org")
    plain, html = mail.part(found, "plain"), mail.part(found, "html")
    assert plain.splitlines()[0] == "20.0% anomalous: retrain."
    for line in (f"Night: {RUN}/plugin/nightglass-night", f"Airflow run: {RUN}", f"Report: {REPORT}"):
        assert line in plain.splitlines()
    assert f'<a href="{RUN}">{RUN}</a>' in html
    assert mail.PASSWORD not in found.as_string()


def test_a_night_whose_data_failed_says_which_expectations_did(mailbox, settings, make_assessment) -> None:
    box, url = mailbox
    night = make_assessment(verb=Verb.HOLD, scored=0, anomalous=0)
    critical = night.validation.expectations[0].model_copy(update={"passed": False, "name": "enough <images>"})
    failed = night.validation.model_copy(update={"passed": False, "expectations": [critical]})
    alert = about_decision(night.model_copy(update={"validation": failed}), REPORT, RUN)
    assert alert.kind == "validation"
    assert tell(alert, Audience("", (url,)), settings)
    assert box.subjects() == ["Nightglass: cells 2026-03-14: hold: its data failed validation"]
    assert "- enough <images>: expected at least 50, got 202" in mail.part(box.mails[0], "plain")
    assert "<li>enough &lt;images&gt;: expected at least 50, got 202</li>" in mail.part(box.mails[0], "html")


def test_a_hostile_name_adds_no_header_and_no_tag(mailbox, settings) -> None:
    box, url = mailbox
    evil = "x.jpg\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script>"
    assert tell(failure("cells", StorageError(evil)), Audience("", (url,)), settings)
    (found,) = box.mails
    assert found["Bcc"] is None
    assert "<script>" not in mail.part(found, "html")
    assert "<script>alert(1)</script>" in mail.part(found, "plain")


def test_a_wrong_password_is_a_warning_without_it_and_tried_again(
    mailbox, settings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    box, url = mailbox
    wrong = Audience("", (url.replace(mail.PASSWORD, "s3cr3t-but-wrong") + "&cto=2&rto=2",))
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="nightglass"):
        assert not tell(failure("cells"), wrong, settings)
    output = capfd.readouterr()
    assert "alert 1 of 1 (mailto://***) was not delivered" in caplog.text
    assert "s3cr3t" not in caplog.text + output.out + output.err
    assert tell(failure("cells"), Audience("", (url,)), settings)
    assert len(box.mails) == 1


def test_the_same_is_told_once_and_news_at_once(webhook, people, settings, make_assessment) -> None:
    first = about_decision(make_assessment(verb=Verb.RETRAIN, anomalous=40), REPORT, RUN)
    other_run = about_decision(make_assessment(verb=Verb.RETRAIN, anomalous=40), REPORT, f"{RUN}-again")
    more = about_decision(make_assessment(verb=Verb.RETRAIN, anomalous=50), REPORT, RUN)
    assert [tell(alert, people, settings) for alert in (first, first, other_run, more, more)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert len(webhook.messages) == 2


def test_many_collections_of_one_cause_are_told_together(webhook, people, settings) -> None:
    names = [f"line-{letter}" for letter in "abcdefg"]
    assert [tell(failure(name), people, settings) for name in names] == [True, True, True, False, False, True, False]
    assert [message["title"] for message in webhook.messages] == [
        "Nightglass: line-a 2026-03-14: list_images failed",
        "Nightglass: line-b 2026-03-14: list_images failed",
        "Nightglass: 3 collections: list_images failed, for the same cause",
        "Nightglass: 6 collections: list_images failed, for the same cause",
    ]
    assert [f"- {name} 2026-03-14" in webhook.messages[-1]["message"] for name in names] == [True] * 6 + [False]
    # Another cause stands alone, and the seventh collection has been told of.
    assert tell(failure("line-a", AccessDeniedError("wrong password")), people, settings)
    assert not tell(failure("line-g"), people, settings)


def test_what_a_chat_did_not_take_is_told_with_the_next_of_its_cause(webhook, people, settings) -> None:
    away = Audience(people.name, ("json://127.0.0.1:9",))
    assert not any(tell(failure(name), away, settings) for name in ("line-a", "line-b", "line-c"))
    assert tell(failure("line-d"), people, settings)
    (message,) = webhook.messages
    assert message["title"] == "Nightglass: 4 collections: list_images failed, for the same cause"
    assert not tell(failure("line-e"), people, settings)
    assert not tell(failure("line-a"), people, settings)
    assert tell(failure("line-f"), people, settings)


def test_an_end_that_nobody_heard_is_told_with_the_next_night(webhook, people, settings) -> None:
    assert tell(about_service("MLflow", "cells", "2026-03-14", "t", StorageError("x"), RUN), people, settings)
    webhook.messages.clear()
    away = Audience(people.name, ("json://127.0.0.1:9",))
    for audience in (away, people, people):
        tell_recovery("cells", "2026-03-15", ["/data/cells"], audience, settings, RUN)
    assert len(webhook.about("MLflow answers again")) == 1


def test_a_service_is_told_once_for_all_collections_and_so_is_its_end(webhook, people, settings) -> None:
    def trouble(name: str, service: str = "MLflow"):
        return about_service(service, name, "2026-03-14", "publish_night", StorageError(f"{name} cannot"), RUN)

    assert [tell(trouble(name), people, settings) for name in ("cells", "tiles", "cells")] == [True, False, False]
    assert tell(trouble("cells", "S3"), people, settings)
    webhook.messages.clear()

    # Another collection's images are on a disk: so of S3 nothing is known.
    tell_recovery("tiles", "2026-03-15", ["/data/tiles"], people, settings, RUN)
    tell_recovery("tiles", "2026-03-15", ["/data/tiles"], people, settings, RUN)
    assert [message["title"] for message in webhook.messages] == [
        "Nightglass: MLflow answers again (tiles 2026-03-15 was published)"
    ]
    assert "3 tasks gave up on it" in webhook.messages[0]["message"]
    tell_recovery("cells", "2026-03-15", ["s3://line/cells", "/out"], people, settings, RUN)
    assert len(webhook.about("S3 answers again")) == 1
    assert tell(trouble("tiles"), people, settings)


def test_the_database_itself_is_the_trouble(webhook, people, settings, sql_dir: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    down = settings.model_copy(update={"database_url": f"postgresql://u:secret@127.0.0.1:{port}/nightglass"})
    with pytest.raises(StorageError) as caught:
        Store.connect(down.database_url, sql_dir)
    alerts = [
        about_service("the database", name, "2026-03-14", "publish_night", caught.value, RUN)
        for name in ("cells", "tiles")
    ]
    assert [tell(alert, people, down) for alert in alerts] == [True, False]
    (message,) = webhook.messages
    assert message["title"] == "Nightglass: the database does not answer (noticed by cells 2026-03-14)"
    assert "secret" not in message["message"]
    assert tell(about_service("S3", "cells", "2026-03-14", "t", StorageError("s3://line"), RUN), people, down)
    # The database goes away again, then nobody takes the message, then all is well.
    away = Audience(people.name, ("json://127.0.0.1:9",))
    for audience, place in ((people, down), (away, settings), (people, settings), (people, settings)):
        tell_recovery("tiles", "2026-03-15", ["/data/tiles"], audience, place, RUN)
    assert len(webhook.about("the database answers again")) == 1
    assert webhook.about("S3 answers again") == []  # of S3 that night says nothing
    tell_recovery("cells", "2026-03-15", ["s3://line/cells"], people, settings, RUN)
    assert len(webhook.about("S3 answers again")) == 1


def test_without_any_log_people_are_told_all_the_same(webhook, people, settings) -> None:
    file = settings.home / "damaged.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database" * 1000)
    (settings.home / "alerts").write_text("a file where the folder would be")
    broken = settings.model_copy(update={"database_url": f"sqlite:///{file}"})
    assert tell(failure("cells"), people, broken)
    assert len(webhook.messages) == 1


def test_nothing_that_is_wrong_with_an_alert_is_an_error(settings, caplog: pytest.LogCaptureFixture) -> None:
    odd = settings.model_copy(update={"sql_dir": Path("/no/such/folder"), "home": Path("/proc/none")})
    with caplog.at_level(logging.WARNING, logger="nightglass"):
        assert not tell(failure("cells"), Audience("", ("json://127.0.0.1:9",)), odd)
        tell_recovery("cells", "2026-03-14", [], Audience("", ("json://127.0.0.1:9",)), odd, None)
    assert "was not" in caplog.text
