"""What Airflow says of the people and connections that the pages ask it about; loaded with the first page."""

from collections.abc import Mapping
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.exceptions import AirflowNotFoundException
from airflow.models.connection import Connection
from airflow.models.dag import DagModel

from nightglass import connections
from nightglass.collections import Collection
from nightglass.errors import ConfigurationError


class AirflowRights:
    """What a user of Airflow may do with a collection: what they may do with its DAGs, the nightly one above all."""

    def __init__(self, user: BaseUser) -> None:
        self._user = user
        self.user_name = user.get_name()

    def may_read(self, collection: str) -> bool:
        """Tell whether they may read the nightly DAG."""
        return self._may("GET", None, f"nightly_{collection}")

    def may_change(self, collection: str) -> bool:
        """Tell whether they may start the nightly DAG."""
        return self.may_start(f"nightly_{collection}")

    def may_start(self, dag_id: str) -> bool:
        """Tell whether they may start a DAG."""
        return self._may("POST", DagAccessEntity.RUN, dag_id)

    def _may(self, method: ResourceMethod, entity: DagAccessEntity | None, dag_id: str) -> bool:
        details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
        return get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=details, user=self._user
        )


def authenticate(user: GetUserDep) -> AirflowRights:
    """Return the rights of whoever is signed in; Airflow answers 401 to anybody else."""
    return AirflowRights(user)


def storage_options(collection: Collection) -> Mapping[str, Any] | None:
    """Return fsspec's options for the collection's store; None: the environment's credentials.

    Raises:
        ConfigurationError: Airflow has no such connection.
    """
    if not collection.connection:
        return None
    try:
        found = Connection.get_connection_from_secrets(collection.connection)
    except AirflowNotFoundException as error:
        expected = f"expected an Airflow connection '{collection.connection}'"
        raise ConfigurationError(f"{collection.name}: {expected}, got none of that name") from error
    return connections.storage_options(
        found.conn_type, found.login, found.password, found.host, found.port, found.extra_dejson
    )
