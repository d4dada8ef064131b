"""`make env`: write a .env with fresh secrets for docker-compose.yaml; needs nothing but Python."""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _password() -> str:
    # Letters, digits, - and _ only: it stands in addresses as it is.
    return secrets.token_urlsafe(32)


def _login_password() -> str:
    return secrets.token_urlsafe(18)


def _long_secret() -> str:
    return secrets.token_urlsafe(64)


#: Each secret of the stack: its name, what makes it, and what it is for.
SECRETS: tuple[tuple[str, Callable[[], str], str], ...] = (
    ("ADMIN_PASSWORD", _login_password, "first password of Airflow's user admin"),
    ("OPERATOR_PASSWORD", _login_password, "first password of Airflow's user operator"),
    ("ANALYST_PASSWORD", _login_password, "first password of Airflow's user analyst"),
    ("GRAFANA_PASSWORD", _login_password, "first password of Grafana's user admin"),
    ("FERNET_KEY", _fernet_key, "encrypts Airflow's connections; lost: enter them anew"),
    ("JWT_SECRET", _long_secret, "signs what Airflow's services say to each other"),
    ("API_SECRET_KEY", _long_secret, "signs sessions of Airflow's UI"),
    ("POSTGRES_PASSWORD", _password, "PostgreSQL's superuser; only airflow-init uses it"),
    ("AIRFLOW_DATABASE_PASSWORD", _password, "Airflow's database"),
    ("NIGHTGLASS_DATABASE_PASSWORD", _password, "the results"),
    ("MLFLOW_DATABASE_PASSWORD", _password, "MLflow's database"),
    ("REDIS_PASSWORD", _password, "Celery's queues"),
    ("S3_ACCESS_KEY", lambda: secrets.token_hex(10), "the S3 store"),
    ("S3_SECRET_KEY", _password, "the S3 store"),
    ("METRICS_TOKEN", _password, "lets Prometheus read /nightglass/metrics"),
)

SETTINGS = """
# Settings; each line shows the default. docs/deployment.md says what they are for.
# How people reach the UI, with scheme and port; alerts link to it.
#UI_URL=http://localhost:8080
#UI_ADDRESS=127.0.0.1
#UI_PORT=8080
#ALERT_URLS=
# Docker refuses a container more processors than the machine has.
#WORKER_CPUS=4
#WORKER_MEMORY=12G
#WORKERS=1
#WORKER_CONCURRENCY=2
#SCORING_SLOTS=2
#IMAGES_FROM=own
#BACKUP_URL=s3://nightglass/backups
#BACKUP_KEEP_DAYS=30
# What an hour of one task costs; without it only compute time is told.
#PRICE_PER_HOUR=
#CURRENCY=USD
#GRAFANA_PORT=3000

# Both lines for Prometheus and Grafana; gpu,monitoring for a worker with a GPU, too.
#COMPOSE_PROFILES=monitoring
#STATSD_ON=True
"""


def compose_env() -> str:
    """Return the text of a new .env: every secret drawn anew."""
    lines = ["# Secrets of this Nightglass, made by `make env`. Keep it out of Git and back it up."]
    for name, draw, purpose in SECRETS:
        lines += [f"# {purpose}", f"{name}={draw()}"]
    return "\n".join(lines) + "\n" + SETTINGS


def write_env(path: Path) -> None:
    """Write a new .env that only its owner can read.

    Raises:
        FileExistsError: There is one, or a link of that name; it is left as it is.
    """
    # O_EXCL follows no link, and the file never has another mode than this.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(compose_env())
    except BaseException:
        path.unlink()
        raise


def main() -> int:
    """Write .env in this folder; return the exit code."""
    path = Path(".env")
    try:
        write_env(path)
    except FileExistsError:
        sys.stderr.write(
            "env: expected no .env here, got one; its passwords are in use. Add what it lacks as a line NAME=SECRET,"
            " with a secret from: openssl rand -hex 32\n"
        )
        return 1
    except OSError as error:
        sys.stderr.write(f"env: expected to write .env, got {error.strerror}\n")
        return 1
    sys.stdout.write(f"Wrote .env with {len(SECRETS)} fresh secrets; only you can read it\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
