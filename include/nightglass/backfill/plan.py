"""Which nights of a range a version has to score again, and which it leaves alone."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from nightglass.backfill.kept import is_kept, score_key_of
from nightglass.backfill.records import BackfillPlan, NightToRescore, SkippedNight
from nightglass.collections import Collection, read_collection
from nightglass.errors import ConfigurationError, InputError
from nightglass.models import FoundModel, find_model
from nightglass.night.plan import NightPlace
from nightglass.settings import read_settings
from nightglass.store import NightRow, Store

Options = Mapping[str, Any] | None


def plan_backfill(
    collection_file: str, *, since: str, until: str, version: str, storage_options: Options = None
) -> BackfillPlan:
    """Find the published nights of a range that a version has not scored yet.

    Args:
        collection_file: The collection's file.
        since: The first night, ``YYYY-MM-DD``.
        until: The last night, counted in.
        version: Number of a registered version, or ``champion`` for the present one.
        storage_options: Credentials of remote folders.

    Raises:
        InputError: The dates are none or the wrong way round, or no night of the range was published.
        ModelError: There is no such version.
    """
    first, last = _read_date("first night", since), _read_date("last night", until)
    if first > last:
        raise InputError(f"nights: expected the first one not after the last, got {since} to {until}")
    settings, collection = read_settings(), read_collection(Path(collection_file))
    model = find_model(_model_uri(collection, version), settings)
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        published = store.rescored.published(collection.name, since, until)
    if not published:
        raise InputError(f"{collection.name}: expected a published night from {since} to {until}, got none")
    found = [_look_at(collection_file, collection, night, model, storage_options) for night in published]
    return BackfillPlan(
        collection=collection.name,
        collection_file=collection_file,
        since=since,
        until=until,
        model=model.ref,
        fingerprint=model.detector.fingerprint,
        nights=[night for night in found if isinstance(night, NightToRescore)],
        skipped=[night for night in found if isinstance(night, SkippedNight)],
    )


def _read_date(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise InputError(f"{name}: expected a date YYYY-MM-DD, got {text!r}")
    return found


def _model_uri(collection: Collection, version: str) -> str:
    return f"models:/{collection.model_name}{'@' if version == 'champion' else '/'}{version}"


def _why_skipped(night: NightRow, model: FoundModel) -> str | None:
    """Return why a night is left alone, as far as its row tells."""
    if (night.model_name, night.model_version) == (model.ref.name, model.ref.version):
        return f"version {night.model_version} decided it itself"
    if not night.scored:
        return "nothing of it was scored at the time, so that there is nothing to compare with"
    return None


def _look_at(
    collection_file: str, collection: Collection, night: NightRow, model: FoundModel, storage_options: Options
) -> NightToRescore | SkippedNight:
    if reason := _why_skipped(night, model):
        return SkippedNight(night=night.night, reason=reason)
    try:
        place = NightPlace.open(collection_file, night.night, night.images_url, storage_options)
    except ConfigurationError:
        raise
    except InputError as error:  # its images may not be taken from there any more
        return SkippedNight(night=night.night, reason=" ".join(str(error).split()))
    key = score_key_of(night.data_version, model.detector, collection.scoring)
    return NightToRescore(
        night=night.night,
        images_url=night.images_url,
        images=night.images,
        result_sha256=night.result_sha256,
        is_scored=is_kept(place.out, model.ref.version, key, night.result_sha256),
    )
