"""The file that an image was scored from, read again later: it may be gone, changed, or never have been one."""

import hashlib
import os
from pathlib import Path

from nightglass.images.manifest_file import MANIFEST_NAME
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.images.reading import read_image
from nightglass.storage import Folder, explaining

_PATH_COLUMNS = ["path", "raw_path"]


def read_original(images: Folder, name_on_disk: str, sha256: str, max_file_bytes: int) -> bytes:
    """Return the bytes of an image, which are those that were scored.

    Args:
        images: The folder of the night's images.
        name_on_disk: Its name below it, as the manifest or the scores have it; nothing outside is ever opened.
        sha256: Of its content.
        max_file_bytes: Of a larger file one byte more is read, wherever it lies.

    Raises:
        QuarantinedError: The name leads out of the folder, the file is gone, no file, too large, or has changed.
        StorageError: The store does not answer or refuses.
    """
    # A key of an object store may have empty parts.
    refused = {"", ".", ".."} if images.is_local else {".."}
    if name_on_disk.startswith("/") or "\0" in name_on_disk or refused & set(name_on_disk.split("/")):
        raise QuarantinedError(QuarantineReason.LINK_OUTSIDE_FOLDER, "the name leads out of the images' folder")
    if images.is_local:
        _check_inside(Path(images.root), Path(images.path(name_on_disk)))
    data = read_image(images, name_on_disk, max_file_bytes)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise QuarantinedError(QuarantineReason.CHANGED, "the file has another content than when it was scored")
    return data


def find_name_on_disk(out: Folder, path: str) -> str:
    """Return what opens an image of a scored night.

    Args:
        out: The score folder.
        path: As the scores have it: where the name is no UTF-8, with its bytes in hexadecimal.
    """
    if "\\" not in path:  # nothing stands in it in hexadecimal: it is the name
        return path
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with out.open_read(MANIFEST_NAME) as source, explaining(f"{out.url}/{MANIFEST_NAME}"):
        file = pq.ParquetFile(source)
        for group in range(file.num_row_groups):
            known = file.metadata.row_group(group).column(0).statistics
            if known and known.has_min_max and not known.min <= path <= known.max:
                continue
            part: pa.Table = file.read_row_group(group, columns=_PATH_COLUMNS)
            for row in part.filter(pc.equal(part["path"], path)).to_pylist():
                return path if row["raw_path"] is None else os.fsdecode(row["raw_path"])
    return path


def _check_inside(root: Path, path: Path) -> None:
    """Raise QuarantinedError unless ``path`` is a regular file that really lies below ``root``."""
    try:
        real = path.resolve(strict=True)
        is_inside = real.is_relative_to(root.resolve())
        is_file = real.is_file()
    except FileNotFoundError as error:
        raise QuarantinedError(QuarantineReason.UNREADABLE, "no longer there") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise QuarantinedError(QuarantineReason.UNREADABLE, type(error).__name__) from error
    if not is_inside:
        raise QuarantinedError(QuarantineReason.LINK_OUTSIDE_FOLDER, "a link leading out of the folder")
    if not is_file:  # a pipe, for one, would be waited for without end
        raise QuarantinedError(QuarantineReason.NOT_A_FILE, "expected a regular file")
