"""Which variables Airflow and Nightglass read."""

import importlib
from pathlib import Path
from typing import Any

import airflow
import yaml

from nightglass.settings import Settings

#: Options of the providers that only the image has: celery 3.26.0, fab 3.10.2.
PROVIDERS = {
    "celery": {"broker_url", "result_backend", "worker_concurrency", "worker_prefetch_multiplier", "task_acks_late"},
    "fab": {"cookie_secure", "enable_proxy_fix", "session_lifetime_minutes", "update_fab_perms"},
}


def installed_options(section: str) -> set[str] | None:
    """Return the options that the installed provider has in the section; None: it is not installed."""
    try:
        info = importlib.import_module(f"airflow.providers.{section}.get_provider_info").get_provider_info()
    except ModuleNotFoundError:
        return None
    return set(info["config"][section]["options"])


def read_sections() -> dict[str, Any]:
    """Return the sections of Airflow's configuration, each with its options and their defaults."""
    templates = Path(airflow.__file__).parent / "config_templates"
    return yaml.safe_load((templates / "config.yml").read_text(encoding="utf-8"))


def log_folders() -> set[str]:
    """Return the variables of the folders of logs that are in AIRFLOW_HOME unless they are set."""
    return {
        f"AIRFLOW__{section}__{name}".upper()
        for section, content in read_sections().items()
        for name, option in content["options"].items()
        if str(option.get("default")).startswith("{AIRFLOW_HOME}/logs")
    }


def airflow_options() -> dict[str, set[str]]:
    """Return the options of each section of Airflow's configuration."""
    options = {name: set(section["options"]) for name, section in read_sections().items()}
    return options | {name: installed_options(name) or known for name, known in PROVIDERS.items()}


class Known:
    """Tells whether a variable exists."""

    def __init__(self) -> None:
        self._options = airflow_options()

    def __call__(self, variable: str) -> bool:
        """Return whether Airflow or Nightglass reads it."""
        if variable.startswith("NIGHTGLASS_"):
            return variable.removeprefix("NIGHTGLASS_").lower() in Settings.model_fields
        _, section, option = variable.lower().split("__", 2)
        return option in self._options.get(section, set())
