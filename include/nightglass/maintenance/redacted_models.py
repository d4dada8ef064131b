"""Registered detectors that were fitted on an image: its picture and names go, the detector scores as before.

What it learned stays in it: embeddings, which show no picture. Which versions learned from the image is told, so that
people can retrain and roll forward.
"""

import errno
import hashlib
import io
import json
import logging
import shutil
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from nightglass.detector.files import BANK_IMAGES, DESCRIPTION, TRAINING, Description
from nightglass.engine.training_record import DELETED
from nightglass.errors import InputError, ModelError
from nightglass.maintenance.damage import explaining_damage
from nightglass.maintenance.deletion_records import HIDDEN
from nightglass.maintenance.originals import Original
from nightglass.maintenance.redacted_training import mark_rows, originals_of
from nightglass.records import ModelRef, Record
from nightglass.registered_models import SEAL
from nightglass.settings import Settings
from nightglass.version_files import VersionFiles, list_version_refs, open_version

_log = logging.getLogger(__name__)
_TAG = "deleted_training_images"
_SIDE, _GREY = 32, 200


class FittedOn(Record):
    """A version that was fitted on the image; ``names`` are what its memory bank calls it."""

    ref: ModelRef
    fingerprint: str
    names: list[str]


def find_fitted_on(settings: Settings, model_name: str, digest: str) -> tuple[list[FittedOn], list[str]]:
    """Return the versions that were fitted on an image, and why others that are there could not be looked into.

    A version whose files are gone shows nothing any more, and is none.
    """
    found, unread = [], []
    for ref in list_version_refs(settings, model_name):
        try:
            with explaining_damage(ref.uri), open_version(settings, ref) as files:
                training = _read_table(files, TRAINING)
                if pc.any(pc.equal(training["sha256"], digest)).as_py():
                    bank = _read_table(files, BANK_IMAGES)
                    names = bank["path"].filter(pc.equal(bank["sha256"], digest)).to_pylist()
                    description = Description.model_validate_json(files.read(DESCRIPTION))
                    found.append(
                        FittedOn(ref=ref, fingerprint=description.fingerprint, names=sorted({*names} - {HIDDEN}))
                    )
        except InputError as error:
            unread.append(str(error))
        except ModelError as error:
            # MLflow says that there is no file without a number, the system with one.
            if isinstance(error.__cause__, OSError) and error.__cause__.errno not in {None, errno.ENOENT}:
                unread.append(str(error))
            else:
                _log.warning("a version without files is not looked into: %s", error)
    return found, unread


def redact_model(settings: Settings, ref: ModelRef, digest: str, before: Callable[[list[Original]], None]) -> int:
    """Take an image's picture and names out of a registered detector; return how many pictures went.

    Args:
        settings: Where MLflow is; the version's copies in this home go, and are fetched anew.
        ref: The version.
        digest: Sha256 of the image's content.
        before: Called with where the image lies before its names go.
    """
    with open_version(settings, ref) as files:
        training = _read_table(files, TRAINING)
        before(originals_of(training, digest))
        marked, _ = mark_rows(training, digest)
        bank, pictures = _without_pictures(_read_table(files, BANK_IMAGES), digest)
        raw = files.read(DESCRIPTION)
        description = Description.model_validate_json(raw)
        new = {TRAINING: _as_bytes(marked), BANK_IMAGES: _as_bytes(bank)}
        redacted = {name: hashlib.sha256(data).hexdigest() for name, data in new.items()}
        if redacted != description.redacted:
            for name, data in new.items():
                files.write(name, data)
            text = json.dumps(
                description.model_copy(update={"redacted": redacted}).model_dump(mode="json"), indent=2, sort_keys=True
            )
            files.write(DESCRIPTION, f"{text}\n".encode())
            raw = f"{text}\n".encode()
        _tag(files, raw, int(pc.sum(pc.equal(marked["reason"], DELETED)).as_py() or 0))
    shutil.rmtree(settings.home / "models" / ref.name / ref.version, ignore_errors=True)
    return pictures


def _without_pictures(bank: pa.Table, digest: str) -> tuple[pa.Table, int]:
    is_same = pc.equal(bank["sha256"], digest)
    pictures = int(pc.sum(pc.and_(is_same, pc.not_equal(bank["path"], HIDDEN))).as_py() or 0)
    for name, value in (("path", HIDDEN), ("thumbnail", _grey_picture())):
        place = bank.schema.get_field_index(name)
        field = bank.schema.field(place)
        bank = bank.set_column(place, field, pc.if_else(is_same, pa.scalar(value, field.type), bank[name]))
    return bank, pictures


def _grey_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (_SIDE, _SIDE), _GREY).save(buffer, "JPEG")
    return buffer.getvalue()


def _tag(files: VersionFiles, description: bytes, count: int) -> None:
    wanted = {_TAG: str(count)}
    if SEAL in files.tags:
        wanted[SEAL] = hashlib.sha256(description).hexdigest()
    for name, value in wanted.items():
        if files.tags.get(name) != value:
            files.tag(name, value)


def _read_table(files: VersionFiles, name: str) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(files.read(name))).read()


def _as_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
