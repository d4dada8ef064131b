"""Make the databases of the stack, each with a role of its own that may use no other."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

#: Databases, each owned by the role of the same name.
NAMES = ("airflow", "nightglass", "mlflow")


def make_databases(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make each database and its role; for those that exist, only set the password again.

    Args:
        admin_url: ``postgresql://`` address of a superuser.
        passwords: Password of each name of :data:`NAMES`.

    Raises:
        psycopg.Error: The server is away or refuses.
    """
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as connection:
        for name in NAMES:
            _make_role(connection, name, passwords[name])
            _make_database(connection, name)


def _make_role(connection: psycopg.Connection, name: str, password: str) -> None:
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    verb = sql.SQL("ALTER" if found else "CREATE")
    # DDL takes no bound parameters; psycopg quotes name and password.
    command = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
    connection.execute(command.format(verb, sql.Identifier(name), sql.Literal(password)))


def _make_database(connection: psycopg.Connection, name: str) -> None:
    database = sql.Identifier(name)
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, database))
    # By default every role may connect to every database.
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
