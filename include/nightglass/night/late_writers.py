"""Two writers of one night: a worker that was given up for dead came back while its task was tried again elsewhere.

Airflow ends such a task at its next heartbeat, some seconds after it came back; until then it goes on where it stood.
What both write is the same, byte for byte, and appears whole, so that writing does no harm. What would is clearing
away: these are the checks before and after it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from nightglass.engine.results import ASSESSMENT_NAME, read_summary
from nightglass.engine.shards import shards_folder
from nightglass.errors import InputError, StorageError
from nightglass.images.manifest import Manifest
from nightglass.images.manifest_file import read_manifest
from nightglass.records import Assessment
from nightglass.storage import Folder


def listed_version(out: Folder) -> str | None:
    """Return the data version that a night's folder is about; None where nothing was listed yet."""
    try:
        return read_manifest(out, rows=range(0)).data_version
    except InputError:
        return None


def check_listed_alone(out: Folder, seen: str | None, manifest: Manifest) -> None:
    """Make sure that nobody else has listed the night meanwhile and seen other images.

    Args:
        out: The night's folder.
        seen: `listed_version` from before the images were read.
        manifest: What was read.

    Raises:
        StorageError: Somebody has: listing again shows which of the two came later.
    """
    found = listed_version(out)
    if found not in {seen, manifest.data_version}:
        raise StorageError(f"{out.url}: expected to be the only one that lists the night, got another list meanwhile")


def check_still_judged(out: Folder, assessment: Assessment) -> None:
    """Make sure that what is about to be published is still what was made of the night last.

    Raises:
        InputError: The night was assessed anew meanwhile.
    """
    found = Assessment.model_validate_json(out.read_bytes(ASSESSMENT_NAME))
    if found.model_dump_json() != assessment.model_dump_json():
        raise InputError(f"{out.url}: expected to publish the night's last assessment, got another one meanwhile")


@contextmanager
def clearing_late_shard(out: Folder, key: str, name: str) -> Iterator[None]:
    """Remove a shard that the block writes too late: others have merged the night meanwhile and tidied up.

    Args:
        out: The night's folder.
        key: The run's `score_key`.
        name: The shard's file.
    """
    before = read_summary(out)
    yield
    if read_summary(out) != before:
        shards_folder(out, key).remove(name)
