from datetime import UTC, datetime, timedelta

import pytest

from nightglass.maintenance.leftovers import abort_uploads
from nightglass.storage import open_folder
from tests.integration.conftest import S3Server

pytestmark = pytest.mark.integration


def test_uploads_that_nobody_ended_are_aborted_after_a_day(s3_server: S3Server) -> None:
    bucket, fs = s3_server.make_bucket(), s3_server.file_system()
    others = ["nights/line2/2026-03-02/scores.parquet", "others/file"]
    for key in ("nights/line/2026-03-02/scores.parquet", *others):
        upload = fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
        part = {"PartNumber": 1, "Body": b"x" * 1024}
        fs.call_s3("upload_part", Bucket=bucket, Key=key, UploadId=upload["UploadId"], **part)
    folder = open_folder(f"s3://{bucket}/nights/line", s3_server.storage_options)
    now = datetime.now(UTC)
    assert abort_uploads(folder, now, dry_run=False) == 0
    assert abort_uploads(folder, now + timedelta(days=2), dry_run=True) == 1
    assert abort_uploads(folder, now + timedelta(days=2), dry_run=False) == 1
    left = fs.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads") or []
    assert [upload["Key"] for upload in left] == others


def test_more_uploads_than_a_store_tells_of_at_once(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, fs = s3_server.make_bucket(), s3_server.file_system()
    for night in range(1, 6):
        fs.call_s3("create_multipart_upload", Bucket=bucket, Key=f"nights/line/2026-03-0{night}/scores.parquet")
    folder = open_folder(f"s3://{bucket}/nights/line", s3_server.storage_options)
    call = folder.fs.call_s3

    def call_for_two(method: str, **options: object) -> object:
        return call(method, **options, **({"MaxUploads": 2} if method == "list_multipart_uploads" else {}))

    monkeypatch.setattr(folder.fs, "call_s3", call_for_two)
    assert abort_uploads(folder, datetime.now(UTC) + timedelta(days=2), dry_run=False) == 5
    assert not fs.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads")
