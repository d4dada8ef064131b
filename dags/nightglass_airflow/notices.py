"""What people are told by the DAGs themselves: that somebody is asked, that somebody rolled back, and a test."""

from typing import TYPE_CHECKING

from airflow.sdk import BaseNotifier, Context

from nightglass.collections import Collection
from nightglass.errors import ConfigurationError
from nightglass.settings import read_settings
from nightglass_airflow.collection_files import read_collections
from nightglass_airflow.connections import alert_urls
from nightglass_airflow.runs import name_run

if TYPE_CHECKING:
    from nightglass.alerting import Alert
    from nightglass.promotion import Promotion


class ApprovalNotifier(BaseNotifier):
    """Tells the collection's people that a challenger waits for approval; Airflow calls it when it begins to wait.

    Args:
        collection: Whose challenger it is.
        judged_by: The task whose sentence they are told.
    """

    def __init__(self, collection: Collection, judged_by: str) -> None:
        super().__init__()
        self._collection = collection
        self._judged_by = judged_by

    def notify(self, context: Context) -> None:
        """Tell them; an alert that fails is a line in the task's log."""
        from nightglass.alerting.champion_wording import about_approval

        ti = context["ti"]
        judged = ti.xcom_pull(task_ids=self._judged_by)
        hours = self._collection.retraining.approval_hours
        run_url = name_run(ti.dag_id, ti.run_id)
        _tell(self._collection, about_approval(self._collection.name, ti.run_id, judged["sentence"], hours, run_url))


def tell_rollback(collection: Collection, done: "Promotion", run_id: str) -> None:
    """Tell the collection's people that an earlier version is the champion again."""
    from nightglass.alerting.champion_wording import about_champion

    if done.entry.event == "rolled_back":
        _tell(collection, about_champion(done.entry, name_run(f"rollback_{collection.name}", run_id)))


def try_people(name: str) -> int:
    """Send a message about nothing to the people of a collection; return how many addresses took it.

    Raises:
        ConfigurationError: There is no such collection, or it has no addresses.
        StorageError: An address did not take it.
    """
    from nightglass.alerting.trying import try_addresses

    settings = read_settings()
    sound, _ = read_collections(settings.collections_dir)
    for collection in sound.values():
        if collection.name == name and (urls := alert_urls(collection)):
            return try_addresses(name, urls, settings)
    raise ConfigurationError(f"{name}: expected a collection with addresses of people to tell, got none")


def _tell(collection: Collection, alert: "Alert") -> None:
    from nightglass.alerting import audience_of, tell

    if collection.alerts.tells(alert.kind):
        tell(alert, audience_of(collection, alert_urls(collection)), read_settings())
