"""Run by itself, with Airflow's FAB: make the roles and users twice, print as JSON who may do what."""

import json
import sys

from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.db import initdb
from deploy.init.__main__ import USERS
from deploy.init.roles import add_users, grant, stack_roles

ENTITY = DagAccessEntity


def main() -> None:
    """Print ``{"added": [[...], [...]], "rights": {user: {act: bool}}}`` after a line ``RIGHTS``."""
    initdb()
    added = []
    for attempt in range(2):
        with get_application_builder() as builder:
            builder.sm.sync_roles()
            grant(builder.sm, stack_roles(["cells"]))
            users = [(name, role, f"{attempt}-{name}") for name, role in USERS]
            added.append(add_users(builder.sm, users))
            passwords = [bool(builder.sm.auth_user_db(name, f"0-{name}", False)) for name, _ in USERS]
            manager = create_auth_manager()
            rights = {name: _rights(manager, builder.sm.find_user(username=name)) for name, _ in USERS}
    sys.stdout.write("\nRIGHTS\n" + json.dumps({"added": added, "passwords": passwords, "rights": rights}))


def _rights(manager, user) -> dict[str, bool]:
    def dag(method: str, dag_id: str, entity: DagAccessEntity | None = None) -> bool:
        return manager.is_authorized_dag(method=method, access_entity=entity, details=DagDetails(id=dag_id), user=user)

    return {
        "see plugin pages": manager.is_authorized_view(access_view=AccessView.PLUGINS, user=user),
        "read its collection": dag("GET", "nightly_cells"),
        "read its runs": dag("GET", "nightly_cells", ENTITY.RUN),
        "read its logs": dag("GET", "nightly_cells", ENTITY.TASK_LOGS),
        "give verdicts": dag("POST", "nightly_cells", ENTITY.RUN),
        "read another collection": dag("GET", "nightly_other"),
        "read the retraining": dag("GET", "retrain_cells"),
        "retrain": dag("POST", "retrain_cells", ENTITY.RUN),
        "roll back": dag("POST", "rollback_cells", ENTITY.RUN),
        "approve": dag("PUT", "retrain_cells", ENTITY.HITL_DETAIL),
        "clear a task": dag("PUT", "nightly_cells", ENTITY.TASK_INSTANCE),
        "delete a DAG": dag("DELETE", "nightly_cells"),
        "delete a run": dag("DELETE", "nightly_cells", ENTITY.RUN),
        "read connections": manager.is_authorized_connection(method="GET", user=user),
        "read variables": manager.is_authorized_variable(method="GET", user=user),
        "read the configuration": manager.is_authorized_configuration(method="GET", user=user),
        "change pools": manager.is_authorized_pool(method="PUT", user=user),
    }


if __name__ == "__main__":
    main()
