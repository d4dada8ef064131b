"""airflow-init: the roles may do what docs/deployment.md says, and a broken collection holds up nothing."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deploy.init.__main__ import STEPS, USERS, find_names_and_pools
from deploy.init.roles import ANALYST, OPERATOR, add_users, grant, stack_roles

REPOSITORY = Path(__file__).resolve().parents[3]
ANALYSTS = {"see plugin pages", "read its collection", "read its runs", "read its logs", "give verdicts"}
OPERATORS = ANALYSTS | {
    "read another collection",
    "read the retraining",
    "retrain",
    "roll back",
    "approve",
    "clear a task",
}


class Security:
    """FAB's security manager in memory; like FAB, it logs a refusal and raises nothing."""

    def __init__(self, refused: str = "") -> None:
        self.roles: dict[str, Any] = {}
        self.users: dict[str, tuple[Any, ...]] = {}
        self._refused = refused

    def add_role(self, name: str) -> Any:
        return self.roles.setdefault(name, SimpleNamespace(permissions=[]))

    def find_role(self, name: str) -> Any:
        return self.roles.get(name)

    def create_permission(self, action: str, resource: str) -> Any:
        return SimpleNamespace(action=SimpleNamespace(name=action), resource=SimpleNamespace(name=resource))

    def add_permission_to_role(self, role: Any, permission: Any) -> None:
        if permission.resource.name != self._refused and permission not in role.permissions:
            role.permissions.append(permission)

    def find_user(self, username: str) -> Any:
        return self.users.get(username)

    def add_user(self, username: str, *rest: Any) -> None:
        self.users[username] = rest


def test_analyst_is_bound_to_nightly_dags() -> None:
    permissions = stack_roles(["cells", "wafers"])[ANALYST]
    named = {resource for _, resource in permissions if resource.startswith("DAG")} - {
        "DAG Runs",
        "DAG Versions",
        "DAG Warnings",
    }
    assert {r.split("_")[0] for r in named if r != "DAGs"} == {"DAG:nightly", "DAG Run:nightly"}
    # The menu's entry; reading all DAGs would be can_read.
    assert [action for action, resource in permissions if resource == "DAGs"] == ["menu_access"]
    assert ("can_read", "Plugins") in permissions
    assert stack_roles([])[ANALYST] == [p for p in permissions if "nightly_" not in p[1]]


@pytest.mark.parametrize("role", [ANALYST, OPERATOR])
def test_nobody_but_admin_reads_secrets_or_deletes(role: str) -> None:
    permissions = stack_roles(["cells"])[role]
    assert not {resource for _, resource in permissions} & {"Connections", "Variables", "Configurations", "Roles"}
    assert "can_delete" not in {action for action, _ in permissions}


def test_grant_again_changes_nothing() -> None:
    security = Security()
    grant(security, stack_roles(["cells"]))
    before = {name: list(role.permissions) for name, role in security.roles.items()}
    grant(security, stack_roles(["cells"]))
    assert {name: role.permissions for name, role in security.roles.items()} == before


def test_refused_permission_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"role Analyst: expected FAB to keep .*nightly_cells"):
        grant(Security(refused="DAG:nightly_cells"), stack_roles(["cells"]))


def test_users_keep_what_they_have() -> None:
    security = Security()
    grant(security, stack_roles([]))
    assert add_users(security, [("analyst", ANALYST, "first")]) == ["analyst"]
    assert add_users(security, [("analyst", ANALYST, "second")]) == []
    assert security.users["analyst"][-1] == "first"


def test_names_and_pools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (REPOSITORY / "include" / "collections" / "solar-cells.yaml").read_text(encoding="utf-8")
    (tmp_path / "solar-cells.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("nam: x\n", encoding="utf-8")
    names, pools = find_names_and_pools(tmp_path)
    assert names == ["solar-cells"]
    assert "nightglass_scoring" in pools
    assert "broken.yaml" in capsys.readouterr().err


def test_databases_and_buckets_come_before_what_is_in_them() -> None:
    names = [name for name, _ in STEPS]
    assert names == ["databases", "buckets", "results", "MLflow", "Airflow", "roles and users", "pools"]


@pytest.mark.skipif(
    importlib.util.find_spec("airflow.providers.fab") is None, reason="the FAB provider is only in the image"
)
def test_rights_in_fab(tmp_path: Path) -> None:
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__API__SECRET_KEY": "k" * 64,
        "AIRFLOW__API_AUTH__JWT_SECRET": "j" * 64,
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "none"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
    }
    command = [sys.executable, "-m", "tests.unit.stack.fab_rights"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.split("\nRIGHTS\n")[1])
    assert found["added"] == [[name for name, _ in USERS], []]
    assert found["passwords"] == [True] * len(USERS)
    allowed = {user: {act for act, may in acts.items() if may} for user, acts in found["rights"].items()}
    assert allowed == {"admin": set(found["rights"]["admin"]), "operator": OPERATORS, "analyst": ANALYSTS}
