from datetime import UTC, datetime

import pytest

from nightglass.alerting.services import DATABASE, DISK, MLFLOW, S3, name_service, services_of
from nightglass.alerting.wording import about_deadline, about_failure, about_recovery, about_service
from nightglass.errors import AccessDeniedError, InputError, StorageError
from nightglass.store import Trouble

RUN = "http://airflow/dags/nightly_cells/runs/1"


@pytest.mark.parametrize(
    ("message", "service"),
    [
        ("postgresql+psycopg://nightglass:***@db/nightglass: connection failed: connection refused", DATABASE),
        ("sqlite:////home/var/nightglass.db: database is locked", DATABASE),
        ("sqlite:////home/var/mlflow.db: MLflow does not answer (database is locked)", MLFLOW),
        ("sqlite:////home/var/mlflow.db: (sqlite3.OperationalError) disk I/O error", MLFLOW),
        ("http://mlflow:5000: HTTPConnectionPool(host='mlflow', port=5000): Max retries exceeded", MLFLOW),
        ("nightglass-cells: the log stands: http://mlflow:5000: MLflow does not answer (refused)", MLFLOW),
        ('s3://nights/cells/a.jpg: Could not connect to the endpoint URL: "http://store:8333/nights"', S3),
        ("/var/lib/nightglass/nights/cells/scores.parquet: Input/output error", DISK),
    ],
)
def test_the_service_is_the_one_of_the_place(message: str, service: str) -> None:
    assert name_service(message) == service


def test_what_a_published_night_proves() -> None:
    assert services_of(["s3://a/b", "/data/c"]) == {DATABASE, MLFLOW, S3, DISK}
    assert services_of(["/data/c"]) == {DATABASE, MLFLOW, DISK}


def failure(collection: str, error: Exception, night: str = "2026-03-02", **changes: object):
    given = {"run": "r1", "is_mapped": False} | changes
    return about_failure(collection, night, f"nightly_{collection}", "list_images", error, RUN, **given)


def test_a_failure_names_collection_night_task_and_reason() -> None:
    shown = failure("cells", InputError("expected images, got none"))
    assert shown.title == "Nightglass: cells 2026-03-02: list_images failed"
    assert shown.as_text() == f"expected images, got none\n\nAirflow run: {RUN}"


def test_one_cause_is_recognised_in_other_collections() -> None:
    cells = AccessDeniedError("s3://line-1/cells/2026-03-02/a.jpg: access denied (403, request 81723)")
    tiles = AccessDeniedError("s3://line-2/tiles/2026-03-01/b.png: access denied (403, request 99)")
    assert failure("cells", cells).cause_sha256 == failure("tiles", tiles).cause_sha256
    assert failure("cells", cells).cause_sha256 != failure("cells", InputError(str(cells))).cause_sha256
    late = "{} 2026-03-02: expected a complete folder within 6 hours, got: no file 'done.txt'"
    causes = {failure(name, InputError(late.format(name))).cause_sha256 for name in ("cells", "line-1", "h.p")}
    assert len(causes) == 1


def test_shards_that_fail_alike_are_one_matter() -> None:
    first, second = (failure("cells", StorageError(f"shard {number}"), is_mapped=True) for number in (1, 2))
    assert (first.key, first.content_sha256) == (second.key, second.content_sha256)
    other = failure("cells", InputError("shard 1"), is_mapped=True)
    assert other.key != first.key  # else shards that fail in two ways by turns would be news each time


def test_runs_of_a_retraining_are_matters_of_their_own() -> None:
    keys = {failure("cells", InputError("x"), night="", run=run).key for run in ("r1", "r2")}
    assert len(keys) == 2


def test_a_task_that_was_killed_has_a_sentence_too() -> None:
    assert "killed" in failure("cells", None).sentence  # type: ignore[arg-type]


def test_an_error_of_other_code_may_name_a_file_that_no_database_holds() -> None:
    shown = failure("cells", ValueError("a \udcff\u202e.jpg"))
    assert shown.sentence == r"a \udcff\u202e.jpg"
    assert shown.cause_sha256


def test_a_service_is_one_matter_for_all() -> None:
    errors = [StorageError("http://mlflow:5000: MLflow does not answer (a)"), StorageError("mlflow, differently")]
    shown = [about_service(MLFLOW, name, "2026-03-02", "t", e, RUN) for name, e in zip("ab", errors, strict=True)]
    assert (shown[0].key, shown[0].content_sha256) == (shown[1].key, shown[1].content_sha256)
    assert shown[0].title == "Nightglass: MLflow does not answer (noticed by a 2026-03-02)"


def test_the_end_of_a_trouble_says_how_long_it_was() -> None:
    trouble = Trouble("service/the database", "cells", "x", "2026-03-02T02:10:00Z", "2026-03-02T04:30:00Z", 3)
    shown = about_recovery(trouble, "tiles", "2026-03-02", None)
    assert shown.title == "Nightglass: the database answers again (tiles 2026-03-02 was published)"
    assert "3 tasks gave up on it, 2026-03-02 02:10 to 2026-03-02 04:30 UTC" in shown.as_text()


def test_a_missed_deadline_tells_the_time_as_people_read_it() -> None:
    due = datetime(2026, 3, 3, 6, 30, tzinfo=UTC)
    shown = about_deadline("cells", "2026-03-02", due, "running", RUN)
    assert shown.title == "Nightglass: cells 2026-03-02: not published in time"
    assert shown.sentence == (
        "cells 2026-03-02 was due by 2026-03-03 06:30 (UTC) and is not published; its run is still running."
    )
