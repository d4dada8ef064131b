"""Files of a night that cannot be read any more: one clear error, whatever library says so."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from nightglass.errors import InputError, NightglassError
from nightglass.storage_errors import one_line


@contextmanager
def explaining_damage(where: str) -> Iterator[None]:
    """Turn what a damaged file raises inside the block into one clear error about ``where``.

    Raises:
        InputError: A file of it is damaged.
    """
    try:
        yield
    except NightglassError:
        raise
    except (pa.ArrowException, ValueError, KeyError, RuntimeError, OSError) as error:  # of Parquet, JSON and FAISS
        if isinstance(error, OSError) and error.errno is not None:  # the system's own
            raise
        got = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(f"{where}: expected files that can be read, got a damaged one ({got})") from error
