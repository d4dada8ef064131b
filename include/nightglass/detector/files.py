"""A detector as a folder: plain data files only, each with its sha256 in ``detector.json``; nothing is a pickle."""

import hashlib
import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.numpy import load_file, save_file

from nightglass import __version__
from nightglass.collections import DetectorOptions, Precision
from nightglass.detector.calibration import Calibration
from nightglass.detector.detector import Detector, Reference
from nightglass.detector.finetuning_record import Finetuning
from nightglass.detector.label_head import LabelHead
from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.patch_bank import PatchBank
from nightglass.detector.reference import ReferenceStatistic
from nightglass.detector.soundness import check_soundness
from nightglass.errors import ModelError

FORMAT_VERSION = 5
DESCRIPTION = "detector.json"
NETWORK = "network.xml"
TRAINING = "training.parquet"
_BANK, _PATCH_BANK, _ARRAYS, _BANK_IMAGES = (
    "bank.faiss",
    "patch_bank.faiss",
    "arrays.safetensors",
    "bank_images.parquet",
)
_HEAD = "label_head."
# Made from the weights (and, for int8, the training images), and its layer names differ from run to run: not part of
# the detector's identity.
_DERIVED = {NETWORK, "network.bin"}
# Says where the training images lay, which decides no score.
_NO_PART = {*_DERIVED, TRAINING}
_FILES = {*_NO_PART, "backbone.safetensors", _BANK, _PATCH_BANK, _ARRAYS, _BANK_IMAGES}
#: What shows and names single training images, and decides no score.
BANK_IMAGES = _BANK_IMAGES
REDACTABLE = frozenset({TRAINING, BANK_IMAGES})


class Description(BaseModel):
    """The content of ``detector.json``; without any time, so that the same fit gives the same file.

    ``precision`` is the network's own, where ``options`` have the one that was asked for; ``labelled_defects`` is how
    many the label head learned from, and ``finetuning`` says how the backbone was tuned, if it was. ``redacted`` are
    the sha256 of files from which an image was deleted on request since; what decides the scores is as it was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format_version: int = FORMAT_VERSION
    nightglass_version: str = __version__
    options: DetectorOptions
    precision: Precision
    calibration: Calibration
    usual_patch_distance: float
    labelled_defects: int
    finetuning: Finetuning | None
    reference_statistics: dict[str, ReferenceStatistic]
    data_version: str
    num_bank_images: int
    files: dict[str, str]
    redacted: dict[str, str] = {}

    @property
    def fingerprint(self) -> str:
        """Sha256 of everything that decides the scores; equal detectors have equal ones."""
        content = self.model_dump(mode="json", exclude={"nightglass_version", "redacted"})
        content["files"] = {name: sha for name, sha in self.files.items() if name not in _NO_PART}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def save_detector_files(detector: Detector, folder: Path, finetuning: Finetuning | None = None) -> Description:
    """Write ``detector`` into ``folder``, where the network and the record of its training are, and describe it.

    ``finetuning`` is what was done to the network's weights before.
    """
    detector.bank.save(folder / _BANK)
    faiss.write_index(detector.patch_bank.index, str(folder / _PATCH_BANK))
    arrays = {
        "mean": detector.standardization.mean,
        "std": detector.standardization.std,
        "spread": detector.bank.spread,
        "patch_spread": detector.patch_bank.spread,
        "patch_mean": detector.patch_bank.standardization.mean,
        "patch_std": detector.patch_bank.standardization.std,
        "reference_embeddings": detector.reference.embeddings,
    }
    if detector.label_head:
        arrays |= {f"{_HEAD}{name}": values for name, values in detector.label_head.arrays().items()}
    save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, folder / _ARRAYS)
    pq.write_table(detector.bank_images, folder / _BANK_IMAGES, compression="zstd")
    description = Description(
        options=detector.options,
        precision=detector.precision,
        calibration=detector.calibration,
        usual_patch_distance=detector.patch_bank.usual_distance,
        labelled_defects=detector.label_head.num_defects if detector.label_head else 0,
        finetuning=finetuning,
        reference_statistics=detector.reference.statistics,
        data_version=detector.data_version,
        num_bank_images=len(detector.bank),
        files={path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.name != DESCRIPTION},
    )
    text = json.dumps(description.model_dump(mode="json"), indent=2, sort_keys=True)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    return description


def read_description(folder: Path) -> Description:
    """Read ``detector.json``.

    Raises:
        ModelError: The folder holds no detector, or one of another format version.
    """
    path = folder / DESCRIPTION
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: expected a detector folder with {DESCRIPTION}, got none") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a readable JSON file, got {type(error).__name__}") from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != FORMAT_VERSION:
        raise ModelError(f"{path}: expected detector format {FORMAT_VERSION}, got {version!r}; fit it again")
    try:
        return Description.model_validate(raw)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ModelError(f"{path}: {where}: {problem['msg']}") from error


def load_detector(folder: Path) -> Detector:
    """Load a detector and check that its files are the ones that were written.

    Raises:
        ModelError: A file is missing, damaged, of another version, or does not fit the others.
    """
    description = read_description(folder)
    if set(description.files) != _FILES or not REDACTABLE.issuperset(description.redacted):
        raise ModelError(
            f"{folder}: expected the files {', '.join(sorted(_FILES))}, got {len(description.files)} others"
        )
    for name, expected in description.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{folder}: expected the file '{name}' of the detector, got nothing there")
        if _sha256(path) != description.redacted.get(name, expected):
            raise ModelError(f"{path}: expected the content that was fitted, got another sha256; copy it again")
    try:
        detector = _read_parts(folder, description)
    except Exception as error:  # FAISS, safetensors and Arrow share no base for what they refuse
        problem = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{folder}: expected the files of a detector, got {type(error).__name__}: {problem}"
        ) from error
    check_soundness(detector, folder)
    return detector


def _read_parts(folder: Path, description: Description) -> Detector:
    arrays = load_file(folder / _ARRAYS)
    head = {name.removeprefix(_HEAD): values for name, values in arrays.items() if name.startswith(_HEAD)}
    bank_images: pa.Table = pq.read_table(folder / _BANK_IMAGES)
    return Detector(
        options=description.options,
        precision=description.precision,
        standardization=Standardization(arrays["mean"], arrays["std"]),
        bank=MemoryBank.load(folder / _BANK, arrays["spread"]),
        calibration=description.calibration,
        patch_bank=PatchBank(
            Standardization(arrays["patch_mean"], arrays["patch_std"]),
            faiss.read_index(str(folder / _PATCH_BANK)),
            arrays["patch_spread"],
            description.usual_patch_distance,
        ),
        label_head=LabelHead.from_arrays(head) if head else None,
        reference=Reference(description.reference_statistics, arrays["reference_embeddings"]),
        bank_images=bank_images,
        data_version=description.data_version,
        fingerprint=description.fingerprint,
        network_path=folder / NETWORK,
    )


def seal_of(folder: Path) -> str:
    """Return the sha256 of ``detector.json``, which has those of all other files: it changes when any of them does.

    Raises:
        ModelError: There is none.
    """
    try:
        return _sha256(folder / DESCRIPTION)
    except OSError as error:
        raise ModelError(f"{folder}: expected a detector folder with {DESCRIPTION}, got none") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
