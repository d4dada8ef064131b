"""What a file system's or object store's failure means: one clear line, and whether time heals it."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from nightglass.errors import AccessDeniedError, InputError, NightglassError, StorageError

_CREDENTIALS = re.compile(r"//[^/@\s]+@")
#: S3's own codes for a request that is not allowed. What else a store says in words may be about the weather.
_DENIED = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden", "403", "InvalidToken", "ExpiredToken"}
)
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"})
#: A clock that jumped is set again, and an upload that a store forgot in its restart is begun anew.
_HEALED = frozenset({"RequestTimeTooSkewed", "NoSuchUpload"})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_STORES = ("botocore", "aiobotocore", "aiohttp", "s3fs", "fsspec")


@contextmanager
def explaining(where: str) -> Iterator[None]:
    """Turn a file system's or store's failure inside the block into one clear error about ``where``.

    Raises:
        InputError: There is nothing there.
        AccessDeniedError: It may not be read or written: a person must act.
        StorageError: The store does not answer or is overloaded, or the disk is full: another try, maybe on another
            machine, may succeed.
    """
    try:
        yield
    except NightglassError:
        raise
    except Exception as error:
        explained = explain_failure(error, where)
        if explained is None:
            raise
        raise explained from error


def explain_failure(error: Exception, where: str) -> NightglassError | None:
    """Return what people are told of a failure at ``where``; None when it is a bug and its traceback is wanted."""
    text, code = one_line(error), _store_code(error)
    number = error.errno if isinstance(error, OSError) else None
    # botocore and aiohttp errors share no base.
    if not isinstance(error, OSError) and not type(error).__module__.startswith(_STORES):
        return None
    if code in _HEALED:
        return StorageError(f"{where}: {text}")
    if isinstance(error, FileNotFoundError):
        return InputError(f"{where}: expected to exist, got nothing there")
    refused = isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError | FileExistsError)
    if refused or code in _DENIED or type(error).__name__ in _NO_CREDENTIALS:
        return AccessDeniedError(f"{where}: access denied ({text})")
    if number == errno.EROFS:
        return AccessDeniedError(f"{where}: cannot write ({text})")
    return StorageError(f"{where}: cannot write ({text})" if number in _FULL else f"{where}: {text}")


def one_line(error: BaseException) -> str:
    """Return the error's text as one line of bounded length, without credentials."""
    text = " ".join(str(error).split()) or type(error).__name__
    return _CREDENTIALS.sub("//", text)[:300]


def _store_code(error: BaseException) -> str:
    """Return S3's code of a refused request (``AccessDenied``, ``SlowDown``), empty where the store said none."""
    for cause in (error, error.__cause__):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""
