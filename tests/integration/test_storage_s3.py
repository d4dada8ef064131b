"""Folders on a real S3 store."""

from nightglass.storage import open_folder


def test_names_that_look_like_patterns_concern_only_themselves(s3_server) -> None:
    bucket = s3_server.make_bucket()
    options = s3_server.storage_options
    for name in ("night1", "night2", "night[12]"):
        open_folder(f"s3://{bucket}/out/{name}", options).write_bytes("summary.json", b"{}")
    open_folder(f"s3://{bucket}/out/night[12]", options).remove("summary.json")
    open_folder(f"s3://{bucket}/out/n*", options).remove("summary.json")
    assert open_folder(f"s3://{bucket}/out/night1", options).exists("summary.json")
    assert open_folder(f"s3://{bucket}/out/night2", options).exists("summary.json")
    assert not s3_server.file_system().exists(f"{bucket}/out/night[12]/summary.json")
