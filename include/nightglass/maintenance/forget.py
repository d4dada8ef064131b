"""Delete one image everywhere, on request.

Before anything else the request is noted twice: in the results, so that no listing takes the image up again, and beside
the nights, so that results which are restored from an older backup lose it again. A process that is killed goes on
when the same is asked for again, or with the next maintenance. What can be done any number of times comes in an order
in which nothing is forgotten: what names a thing goes after the thing.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from nightglass.collections import Collection
from nightglass.errors import InputError, NightglassError, StorageError
from nightglass.maintenance.damage import explaining_damage
from nightglass.maintenance.deletion_records import Deletion, DeletionRequest
from nightglass.maintenance.hold import Hold, holding
from nightglass.maintenance.journal import Journal, Progress
from nightglass.maintenance.needs import open_retrainings
from nightglass.maintenance.night_rows import finish_night
from nightglass.maintenance.originals import Original, remove_original
from nightglass.maintenance.redacted_models import FittedOn, find_fitted_on, redact_model
from nightglass.maintenance.redacted_night import (
    Names,
    apply_plan,
    end_plan,
    find_plan,
    note_plan,
    plan_night,
    shows_image,
)
from nightglass.maintenance.redacted_training import mark_retrainings
from nightglass.maintenance.standing import IsIdle, Nights, nobody_knows
from nightglass.settings import Settings
from nightglass.storage import Folder, open_folder
from nightglass.store import NightRow, Store
from nightglass.store.deletions import Deletions

Options = Mapping[str, Any] | None
_KEY_DIGITS = 12
_TOLD = 3  # failures of one request
_log = logging.getLogger(__name__)


class DeletionsFailedError(NightglassError):
    """Some requests to delete an image need a person; they are kept, and were carried out as far as they can be."""


def forget_image(
    collection: Collection,
    settings: Settings,
    request: DeletionRequest,
    *,
    storage_options: Options = None,
    is_idle: IsIdle = nobody_knows,
) -> Deletion:
    """Carry out a request, or go on with it; a request that is done changes nothing any more.

    Args:
        collection: Whose image.
        settings: Where everything is.
        request: Which image, who asks, and why.
        storage_options: Credentials of remote folders.
        is_idle: Tells whether no run of the collection goes on, so that what is unfinished was given up.

    Returns:
        What became of it; nights in work are waited for, and then it is not finished.

    Raises:
        CollectionInWorkError: Somebody else rewrites the collection's nights.
        InputError: The image cannot be taken out of some nights or detectors, which are named; it is out of the others.
            Or it was deleted before, its own files not, and nothing says any more where these lie.
        StorageError: A store, the database or MLflow does not answer; the request is kept, and goes on later.
    """
    folder, retrainings = (
        open_folder(f"{url}/{collection.name}", storage_options)
        for url in (settings.nights_url, settings.retraining_url)
    )
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        journal = Journal(folder)
        if not journal.has(request.key):
            request = _join(store.upkeep.deletions, request)
        known = store.upkeep.deletions.find(request)
        if known is not None and known.finished_at is not None:
            return known
        progress = journal.open(request)  # before the row: maintenance goes on with what is noted here
        store.upkeep.deletions.begin(progress.request)
        with holding(store, collection.name, f"the deletion {request.key[:_KEY_DIGITS]}") as hold:
            nights = Nights(collection, settings, folder, store, is_idle())
            work = _Work(nights, progress, journal, retrainings, storage_options, hold)
            work.carry_out()
        if work.waiting:
            return work.outcome
        store.upkeep.compact()  # a row that is deleted can be read in the database's files until then
        return store.upkeep.deletions.finish(work.outcome, datetime.now(UTC))


def _join(deletions: Deletions, request: DeletionRequest) -> DeletionRequest:
    """Return what a new request comes to, beside one for the same image that says otherwise of its own files."""
    changed = {"is_original_deleted": not request.is_original_deleted}
    other = DeletionRequest.model_validate(request.model_dump() | changed)
    if deletions.find(other) is None:
        return request
    if request.is_original_deleted:
        got = "one that was asked for without: what says where its files lie is gone, remove these by hand"
        raise InputError(f"{request.collection}: expected --original with the first deletion of an image, got {got}")
    return other


def finish_requests(
    collection: Collection, settings: Settings, *, storage_options: Options = None, is_idle: IsIdle = nobody_knows
) -> list[Deletion]:
    """Go on with every request of a collection that is not done, by what the results say; see `forget_image`.

    Raises:
        DeletionsFailedError: Some cannot be carried out as things are; those that neither fail nor wait were.
        StorageError: The same, but another try may succeed: a store, the database or MLflow did not answer.
    """
    journal = Journal(open_folder(f"{settings.nights_url}/{collection.name}", storage_options))
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        finished = store.upkeep.deletions.finished(collection.name)
    deletions: list[Deletion] = []
    failures: list[NightglassError] = []
    for key in journal.list_keys():
        if key in finished:  # they are not even read
            continue
        try:
            request = journal.read(key).request
            deletions.append(
                forget_image(collection, settings, request, storage_options=storage_options, is_idle=is_idle)
            )
        except NightglassError as error:
            failures.append(error)
            _log.error("%s: the deletion %s fails: %s", collection.name, key[:_KEY_DIGITS], error)
        else:
            for why in deletions[-1].waiting:
                _log.info("%s: the deletion %s waits: %s", collection.name, key[:_KEY_DIGITS], why)
    if failures:
        waiting = sum(deletion.finished_at is None for deletion in deletions)
        got = f"{len(failures)} that fail and {waiting} that wait"
        text = f"{collection.name}: expected to end all deletions, got {got}; they are kept. {failures[0]}"
        raise StorageError(text) if any(error.can_heal for error in failures) else DeletionsFailedError(text)
    return deletions


@dataclass
class _Work:
    """One request being carried out; ``progress`` is noted after each night."""

    nights: Nights
    progress: Progress
    journal: Journal
    retrainings: Folder
    storage_options: Options
    hold: Hold
    originals: int = 0
    waiting: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def request(self) -> DeletionRequest:
        return self.progress.request

    @property
    def outcome(self) -> Deletion:
        """What was done until now; it is not noted as finished."""
        done = self.progress
        return Deletion(
            request=done.request,
            finished_at=None,
            nights=sorted(done.nights),
            models=done.models,
            removed=done.removed,
            waiting=self.waiting,
        )

    def carry_out(self) -> None:
        """Go through nights, retrainings, detectors and verdicts."""
        settings, has_content = self.nights.settings, self.request.night is None
        model_name = self.nights.collection.model_name
        fitted, unread = find_fitted_on(settings, model_name, self.request.digest) if has_content else ([], [])
        self.failures += unread
        names = {each.fingerprint[:12]: frozenset(each.names) for each in fitted}
        if self.request.is_original_deleted:
            self._tell_unknown()
        for night in self.nights.names():
            self.hold.keep()
            self._trying(self.nights.folder.child(night).url, partial(self._forget_in_night, night, names))
        # Nights that wait or fail need the names that the detectors have for the image.
        if has_content and not (self.waiting or self.failures):
            self._trying(self.retrainings.url, partial(self._forget_in_models, fitted))
        else:
            self._note({}, [])
        if self.failures:
            got = f"{len(self.failures)} where that fails: {'; '.join(self.failures[:_TOLD])}"
            raise InputError(f"expected to take the image out of every night, retraining and detector, got {got}")

    def _tell_unknown(self) -> None:
        removals = self.nights.store.upkeep.removals(self.request.collection)
        if unknown := sorted(night for night, kinds in removals.items() if "scores" in kinds):
            told = "retention removed what says where their images lie: an own file of this one may be left there"
            _log.warning("%s: %s (%s)", self.request.collection, told, ", ".join(unknown))

    def _trying(self, where: str, forget: Callable[[], None]) -> None:
        """Take the image out of one place; what only a person can mend is told at the end, and stops no other one."""
        try:
            with explaining_damage(where):
                forget()
        except NightglassError as error:
            if error.can_heal:
                raise
            self.failures.append(str(error))

    def _forget_in_models(self, fitted: list[FittedOn]) -> None:
        """Go through retrainings, detectors and verdicts."""
        settings = self.nights.settings
        runs, rows = mark_retrainings(self.retrainings, self.request.digest, self._remove_originals)
        # What they are fitting at the moment would bring the image back in a new version.
        open_runs = runs & set(open_retrainings(self.nights, self.retrainings))
        self.waiting += [f"the retraining {run}, which has it, is not concluded" for run in sorted(open_runs)]
        pictures = 0
        for each in fitted:
            self.hold.keep()
            pictures += redact_model(settings, each.ref, self.request.digest, self._remove_originals)
        verdicts = self.nights.store.upkeep.deletions.redact_verdicts(self.request)
        self._note(
            {"rows of training records": rows, "pictures in detectors": pictures, "verdicts": verdicts},
            [each.ref.uri for each in fitted],
        )

    def _forget_in_night(self, night: str, names: Names) -> None:
        nights, request = self.nights, self.request
        out, row = nights.folder.child(night), nights.row(night)
        self._renew_rows(night, row)
        if begun := find_plan(out):
            if begun.request != request.key:
                self.waiting.append(f"{night}: another deletion was killed there, and goes on first")
                return
        elif why := nights.why_in_work(night, row):
            if names or shows_image(out, night, request):  # one that detectors know is shown as a neighbour too
                self.waiting.append(f"{night}: {why}")
            return
        plan = begun or plan_night(out, night, request, names)
        if plan is None:
            return
        url = row.images_url if row else nights.collection.night_url(night)
        # Before the plan stands, which keeps other deletions out of the night: this may be refused.
        self._remove_originals([Original(url, bytes.fromhex(name)) for name in plan.originals])
        if not begun:
            note_plan(out, plan)
        nights.store.upkeep.deletions.note_night(request, night, plan.images, plan.scored)
        apply_plan(out, plan)
        counts = {**plan.counts, "top anomalies": finish_night(nights, night, request, plan)}
        self.progress = self.progress.with_night(night, plan, counts)
        self.journal.write(self.progress)
        end_plan(out)

    def _renew_rows(self, night: str, row: NightRow | None) -> None:
        """Take the image out of a night's rows again where they came back from a backup; its files are without it."""
        plan = self.progress.plans.get(night)
        if plan is None or row is None or (plan.results and row.result_sha256 != plan.results[0]):
            return
        deletions = self.nights.store.upkeep.deletions
        if deletions.note_night(self.request, night, plan.images, plan.scored):
            finish_night(self.nights, night, self.request, plan)

    def _note(self, counts: dict[str, int], models: list[str]) -> None:
        self.progress = self.progress.with_others({**counts, "originals": self.originals}, models)
        self.journal.write(self.progress)

    def _remove_originals(self, originals: list[Original]) -> None:
        """Remove the image's own files, where that is asked for."""
        if not self.request.is_original_deleted:
            return
        digest = None if self.request.night else self.request.digest
        for original in originals:
            self.originals += remove_original(original, digest, self.storage_options)
