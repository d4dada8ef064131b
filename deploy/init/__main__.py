"""The service airflow-init: makes what the stack stands on. Each step may run again, at every start and upgrade."""
# ruff: noqa: PLC0415  each step imports only what it needs: MLflow and Airflow take seconds

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.init.databases import NAMES, make_databases
from deploy.init.roles import ANALYST, OPERATOR, add_users, grant, stack_roles

from nightglass.collections import find_collection_files, read_collection
from nightglass.errors import ConfigurationError
from nightglass.settings import read_settings

Environment = Mapping[str, str]
USERS = (("admin", "Admin"), ("operator", OPERATOR), ("analyst", ANALYST))
_DEFAULT_POOL = "nightglass_scoring"


def find_names_and_pools(folder: Path) -> tuple[list[str], set[str]]:
    """Return the collections' names and the pools that they score in.

    A broken file is passed over: its DAG says what is wrong with it.

    Args:
        folder: Folder of the collections' YAML files.
    """
    names, pools = [], {_DEFAULT_POOL}
    for file in find_collection_files(folder):
        try:
            collection = read_collection(file)
        except ConfigurationError as error:
            sys.stderr.write(f"init: {error}\n")
            continue
        names.append(collection.name)
        pools.add(collection.scoring.pool)
    return names, pools


def _make_databases(environment: Environment) -> None:
    passwords = {name: environment[f"{name.upper()}_DATABASE_PASSWORD"] for name in NAMES}
    make_databases(environment["POSTGRES_ADMIN_URL"], passwords)


def _make_buckets(environment: Environment) -> None:
    import s3fs

    store = s3fs.S3FileSystem()
    for name in environment["S3_BUCKETS"].split():
        if not store.exists(name):
            store.mkdir(name)


def _migrate_results(_: Environment) -> None:
    from nightglass.store.store import Store

    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()


def _migrate_mlflow(environment: Environment) -> None:
    from mlflow.db import upgrade

    # In this process: on a command line everybody could read the password.
    upgrade.main(args=[environment["MLFLOW_BACKEND_STORE_URI"]], standalone_mode=False)


def _migrate_airflow(_: Environment) -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)


def _make_accounts(environment: Environment) -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    names, _ = find_names_and_pools(read_settings().collections_dir)
    users = [(name, role, environment[f"{name.upper()}_PASSWORD"]) for name, role in USERS]
    with get_application_builder() as builder:
        builder.sm.sync_roles()
        grant(builder.sm, stack_roles(names))
        add_users(builder.sm, users)


def _make_pools(environment: Environment) -> None:
    from airflow.models.pool import Pool

    _, pools = find_names_and_pools(read_settings().collections_dir)
    for name in sorted(pools):
        if Pool.get_pool(name) is None:  # an operator may have given it other slots since
            slots = int(environment["SCORING_SLOTS"])
            Pool.create_or_update_pool(name, slots, "shards that are scored at once", include_deferred=False)


STEPS: tuple[tuple[str, Callable[[Environment], None]], ...] = (
    ("databases", _make_databases),
    ("buckets", _make_buckets),
    ("results", _migrate_results),
    ("MLflow", _migrate_mlflow),
    ("Airflow", _migrate_airflow),
    ("roles and users", _make_accounts),
    ("pools", _make_pools),
)


def main(environment: Environment) -> None:
    """Take every step in order; the first that fails ends the service with its error."""
    for name, step in STEPS:
        sys.stdout.write(f"init: {name}\n")
        step(environment)


if __name__ == "__main__":
    main(os.environ)
