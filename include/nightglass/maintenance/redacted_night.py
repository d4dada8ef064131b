"""Take an image out of the files of one night, so that a kill in between leaves nothing half done.

All new files are written beside the old ones first, then the plan is noted; from there on every step may be done
again, until the plan itself goes. Until the noted plan goes nobody else takes an image out of the night.
"""

import json
import posixpath
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from nightglass.engine.merge import INDEX_NAME, QUARANTINE_NAME, SCORES_NAME
from nightglass.engine.results import ASSESSMENT_NAME, REPORT_NAME, SUMMARY_NAME
from nightglass.errors import InputError
from nightglass.images.manifest_file import MANIFEST_NAME
from nightglass.maintenance.deletion_records import STAGING, DeletionRequest, name_digest
from nightglass.maintenance.gone import Dropped, Gone, find_gone, leave_out
from nightglass.maintenance.listing import list_files
from nightglass.maintenance.redacted_tables import count_table, redact_index, redact_table
from nightglass.records import Assessment, Record
from nightglass.storage import Folder
from nightglass.store import result_sha256

_PLAN = f"{STAGING}/plan.json"
_TABLES = (SCORES_NAME, QUARANTINE_NAME, MANIFEST_NAME)
_FINGERPRINT_DIGITS = 12
Names = dict[str, frozenset[str]]  # of an image in the memory banks, by the start of the detector's fingerprint


class NightPlan(Record):
    """What is to be done to a night: ``written`` take the place of the old files, ``removed`` go.

    ``results`` are the sha256 of its assessment before and after, ``good_names`` the `name_digest` of what detectors
    call the image; ``originals`` are its files, by their names on disk in hexadecimal digits.
    """

    request: str
    images: int
    scored: int
    written: list[str]
    removed: list[str]
    results: tuple[str, str] | None
    good_names: list[str]
    originals: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """What goes, by its kind."""
        return {"images of nights": self.images, "files rewritten": len(self.written), "pictures": len(self.removed)}


def plan_night(out: Folder, night: str, request: DeletionRequest, names: Names) -> NightPlan | None:
    """Write what the night's files are without the image beside them, for `note_plan`; None: nothing would change.

    Args:
        out: The night's folder.
        night: Its date.
        request: What is to go.
        names: How the memory banks of detectors name the image.
    """
    out.remove(STAGING)
    found = _Redaction(out, night, request, names)
    for folder in sorted({posixpath.dirname(file) for file in found.files}):
        found.redact(folder)
    plan = found.plan()
    if plan is None:
        out.remove(STAGING)
    return plan


def note_plan(out: Folder, plan: NightPlan) -> None:
    """Note that a night is to become what the plan says, whatever happens to this process."""
    out.write_bytes(_PLAN, plan.model_dump_json().encode())


def find_plan(out: Folder) -> NightPlan | None:
    """Return the plan of a deletion that was begun in a night's folder, and is to be brought to its end.

    Raises:
        InputError: It is damaged.
    """
    if not is_begun(out):
        return None
    try:
        return NightPlan.model_validate_json(out.read_bytes(_PLAN))
    except ValidationError as error:
        raise InputError(f"{out.url}/{_PLAN}: expected the plan of a deletion, got another file") from error


def is_begun(out: Folder) -> bool:
    """Tell whether a deletion was begun in a night's folder that is to be brought to its end."""
    return out.exists(_PLAN)


def shows_image(out: Folder, night: str, request: DeletionRequest) -> bool:
    """Tell whether a night was listed with the image, or may still be."""
    if not out.exists(MANIFEST_NAME):
        return True
    return bool(find_gone(request, night, out.read_table(MANIFEST_NAME, ["path", "sha256"]), frozenset()).paths)


def apply_plan(out: Folder, plan: NightPlan) -> None:
    """Remove the pictures and put the new files in the place of the old ones; may be done again.

    The pictures go first, which the records name until then: a plan that is given up is made anew from these. The
    summary is written anew last: what was read of the night before does not belong to what is read after.
    """
    staged = out.child(STAGING)
    for name in plan.removed:
        out.remove(name)
    for name in plan.written:
        if staged.exists(name):
            out.take(staged, name)
    if out.exists(SUMMARY_NAME):
        out.write_bytes(SUMMARY_NAME, out.read_bytes(SUMMARY_NAME))


def end_plan(out: Folder) -> None:
    """Remove the plan, and then what is left of it."""
    out.remove(_PLAN)
    out.remove(STAGING)


class _Redaction:
    """Writes new files into the staging folder and keeps count."""

    def __init__(self, out: Folder, night: str, request: DeletionRequest, names: Names) -> None:
        self._out, self._request, self._names = out, request, names
        self._staged = out.child(STAGING)
        self.files = [file.path for file in list_files(out) if not file.path.startswith(".")]
        self._gone = find_gone(request, night, self._listed(), frozenset())
        self._written: list[str] = []
        self._removed: set[str] = set()
        self._results: tuple[str, str] | None = None
        self._good_names: set[str] = set()
        self._images = self._scored = 0
        self._originals = self._find_originals()

    def redact(self, folder: str) -> None:
        """Write what the files of one folder are without the image."""
        inside = {posixpath.basename(file) for file in self.files if posixpath.dirname(file) == folder}
        source, target = (place.child(folder) if folder else place for place in (self._out, self._staged))
        gone = Gone(self._gone.digest, self._gone.paths, self._good_names_of(source, inside))
        for name in inside & set(_TABLES):
            before = count_table(source, name)
            table = redact_table(source, target, name, gone)
            if table.is_changed:
                self._write(folder, name)
            if name == SCORES_NAME and table.rows and INDEX_NAME in inside:
                redact_index(source, target, INDEX_NAME, table.rows, before)
                self._write(folder, INDEX_NAME)
            if not folder:
                self._images += len(table.rows) if name == MANIFEST_NAME else 0
                self._scored += len(table.rows) if name == SCORES_NAME else 0
        for name in sorted(inside):
            if name.endswith(".json"):
                self._redact_record(source, folder, name, gone)

    def plan(self) -> NightPlan | None:
        """Return what is to be done; None for nothing."""
        if not (self._written or self._removed or self._originals):
            return None
        # A report below the night's own shows the same pictures; the night's own is made anew.
        pages = {file for file in self.files if file.endswith(".html") and file != REPORT_NAME}
        return NightPlan(
            request=self._request.key,
            images=self._images,
            scored=self._scored,
            written=self._written,
            removed=sorted((self._removed | pages) & set(self.files)),
            results=self._results,
            good_names=sorted(map(name_digest, self._good_names)),
            originals=self._originals,
        )

    def _redact_record(self, source: Folder, folder: str, name: str, gone: Gone) -> None:
        record: Any = json.loads(source.read_bytes(name))
        dropped = Dropped()
        left = leave_out(record, gone, dropped)
        if self._results and isinstance(left, dict) and left.get("champion_result") == self._results[0]:
            left["champion_result"] = self._results[1]
        if left == record:
            return
        self._staged.write_bytes(posixpath.join(folder, name), json.dumps(left).encode())
        self._write(folder, name)
        # Some records name their pictures from where they lie, others from the night's folder.
        self._removed |= {posixpath.normpath(f"{base}/{file}") for base in (folder, ".") for file in dropped.pictures}
        if not folder and name == ASSESSMENT_NAME:
            before, after = (result_sha256(Assessment.model_validate(each)) for each in (record, left))
            self._results = before, after

    def _write(self, folder: str, name: str) -> None:
        self._written.append(posixpath.join(folder, name))

    def _listed(self) -> pa.Table:
        """Return ``path`` and ``sha256`` of the night's images, from its scores where it has no manifest."""
        for name in (MANIFEST_NAME, SCORES_NAME):
            if name in self.files:
                return self._out.read_table(name, ["path", "sha256"])
        return pa.table({"path": pa.array([], pa.string()), "sha256": pa.array([], pa.string())})

    def _find_originals(self) -> list[str]:
        if not self._request.is_original_deleted or MANIFEST_NAME not in self.files:
            return []
        table = self._out.read_table(MANIFEST_NAME, ["path", "raw_path", "sha256"])
        rows = table.filter(self._gone.rows_of(table)).to_pylist()
        return [(row["raw_path"] or row["path"].encode()).hex() for row in rows]

    def _good_names_of(self, source: Folder, inside: set[str]) -> frozenset[str]:
        if not self._names or SUMMARY_NAME not in inside:
            return frozenset()
        version = str(json.loads(source.read_bytes(SUMMARY_NAME)).get("model_version", ""))
        names = self._names.get(version[:_FINGERPRINT_DIGITS], frozenset())
        self._good_names |= names
        return names
