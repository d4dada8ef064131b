"""What each role of the stack may do in Airflow, and how FAB learns it.

Admin is FAB's own. Operator and Analyst are made here, as FAB's Viewer sees no plugin page and its User deletes DAGs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

Permission = tuple[str, str]
Roles = dict[str, list[Permission]]

ANALYST = "Analyst"
OPERATOR = "Operator"

_OWN_ACCOUNT: list[Permission] = [
    (action, resource) for resource in ("My Password", "My Profile") for action in ("can_read", "can_edit")
]
#: What everybody sees of the DAGs that they may read, with the pages: `/api/v2/plugins` answers 403 without Plugins.
_LOOK: list[Permission] = [
    ("can_read", "Website"),
    ("can_read", "Plugins"),
    ("can_read", "DAG Runs"),
    ("can_read", "DAG Versions"),
    ("can_read", "DAG Warnings"),
    ("can_read", "Task Instances"),
    ("can_read", "Task Logs"),
    ("can_read", "Documentation"),
    ("menu_access", "DAGs"),
    ("menu_access", "Docs"),
    ("menu_access", "Documentation"),
    *_OWN_ACCOUNT,
]
#: No connections, variables, configuration or XCom writes, and nothing is deleted.
_OPERATE: list[Permission] = [
    *_LOOK,
    ("can_read", "DAGs"),
    ("can_edit", "DAGs"),
    ("can_read", "DAG Code"),
    ("can_read", "DAG Dependencies"),
    ("can_create", "DAG Runs"),
    ("can_edit", "DAG Runs"),
    ("can_create", "Task Instances"),
    ("can_edit", "Task Instances"),
    ("can_read", "HITL Detail"),
    ("can_edit", "HITL Detail"),
    ("can_read", "Backfills"),
    ("can_create", "Backfills"),
    ("can_edit", "Backfills"),
    ("can_read", "Assets"),
    ("can_read", "Asset Aliases"),
    ("can_read", "XComs"),
    ("can_read", "Audit Logs"),
    ("can_read", "Pools"),
    ("can_read", "Jobs"),
    ("can_read", "ImportError"),
    ("can_read", "Cluster Activity"),
    ("menu_access", "Browse"),
    ("menu_access", "DAG Dependencies"),
    ("menu_access", "DAG Runs"),
    ("menu_access", "Task Instances"),
    ("menu_access", "HITL Detail"),
    ("menu_access", "Assets"),
    ("menu_access", "Jobs"),
    ("menu_access", "Cluster Activity"),
]


def stack_roles(collections: Iterable[str]) -> Roles:
    """Return the permissions of Operator and Analyst.

    A verdict asks for the right to start ``nightly_<collection>``, for which Airflow wants to see the DAG edited, too:
    an analyst may therefore also pause it. Retraining and rollback stay out of reach.

    Args:
        collections: Names of the collections that analysts may see.
    """
    nightly: list[Permission] = []
    for name in sorted(collections):
        nightly += [
            ("can_read", f"DAG:nightly_{name}"),
            ("can_edit", f"DAG:nightly_{name}"),
            ("can_create", f"DAG Run:nightly_{name}"),
        ]
    return {OPERATOR: list(_OPERATE), ANALYST: [*_LOOK, *nightly]}


def grant(security: Any, roles: Roles) -> None:  # noqa: ANN401  FAB's security manager, which only the image has
    """Make the roles and give them their permissions; what somebody gave them beside these stays.

    Args:
        security: FAB's security manager.
        roles: From :func:`stack_roles`.

    Raises:
        RuntimeError: FAB did not keep a permission; it logs the reason and goes on.
    """
    for name, permissions in roles.items():
        role = security.add_role(name)
        for action, resource in permissions:
            security.add_permission_to_role(role, security.create_permission(action, resource))
        kept = {
            (permission.action.name, permission.resource.name) for permission in security.find_role(name).permissions
        }
        if missing := set(permissions) - kept:
            raise RuntimeError(f"role {name}: expected FAB to keep {sorted(missing)}, got a refusal; see its log")


def add_users(security: Any, users: Sequence[tuple[str, str, str]]) -> list[str]:  # noqa: ANN401  as above
    """Add the first users; one who exists keeps password and roles.

    Args:
        security: FAB's security manager.
        users: User name, role and password of each.

    Returns:
        The names of those that were added.
    """
    added = []
    for name, role, password in users:
        if security.find_user(username=name):
            continue
        security.add_user(name, name, "Nightglass", f"{name}@localhost", security.find_role(role), password)
        added.append(name)
    return added
