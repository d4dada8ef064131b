"""What a failure of a disk or store means: whether time heals it, or a person must act."""

import errno

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from s3fs.errors import translate_boto_error

from nightglass.errors import AccessDeniedError, InputError, NightglassError, StorageError
from nightglass.storage_errors import explaining

# The start of a date, a port: digits that look like a code of refusal.
WHERE = "s3://bucket/20240301/403"


def refused(code: str) -> Exception:
    return translate_boto_error(ClientError({"Error": {"Code": code, "Message": f"it said {code}"}}, "GetObject"))


@pytest.mark.parametrize(
    ("failure", "kind", "can_heal"),
    [
        (refused("SlowDown"), StorageError, True),
        (refused("503"), StorageError, True),
        (refused("InternalError"), StorageError, True),
        (refused("RequestTimeTooSkewed"), StorageError, True),
        (refused("NoSuchUpload"), StorageError, True),
        (refused("AccessDenied"), AccessDeniedError, False),
        (refused("403"), AccessDeniedError, False),
        (refused("InvalidAccessKeyId"), AccessDeniedError, False),
        (refused("InvalidToken"), AccessDeniedError, False),
        (refused("NoSuchKey"), InputError, False),
        (NoCredentialsError(), AccessDeniedError, False),
        (EndpointConnectionError(endpoint_url=f"http://127.0.0.1:24031/{WHERE}"), StorageError, True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused: 403"), StorageError, True),
        (TimeoutError(), StorageError, True),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), StorageError, True),
        (OSError(errno.EROFS, "Read-only file system"), AccessDeniedError, False),
        (PermissionError(errno.EACCES, "Permission denied"), AccessDeniedError, False),
        (FileNotFoundError(errno.ENOENT, "No such file"), InputError, False),
    ],
    ids=str,
)
def test_only_what_time_heals_is_tried_again(failure: Exception, kind: type[NightglassError], can_heal: bool) -> None:
    with pytest.raises(NightglassError) as caught, explaining(WHERE):
        raise failure
    assert type(caught.value) is kind
    assert caught.value.can_heal is can_heal
    assert str(caught.value).startswith(WHERE)
    assert "\n" not in str(caught.value)


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(KeyError), explaining(WHERE):
        raise KeyError("bug")


def test_credentials_in_a_message_are_not_repeated() -> None:
    with pytest.raises(StorageError) as caught, explaining(WHERE):
        raise OSError(errno.EIO, "GET http://key:secret@host/x")
    assert "secret" not in str(caught.value)
