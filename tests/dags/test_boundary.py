"""What may know what: the package never imports Airflow, the DAG files only wire."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = sorted((REPOSITORY / "include" / "nightglass").rglob("*.py"))
DAG_FILES = sorted((REPOSITORY / "dags").rglob("*.py"))
#: The DAG files, and how many tasks each defines.
TASKS = {"nightly": 7, "retrain": 8, "rollback": 2, "backfill": 3, "try_alerts": 1, "maintenance": 4}
HEAVY = (
    "torch",
    "timm",
    "openvino",
    "faiss",
    "mlflow",
    "great_expectations",
    "sklearn",
    "scipy",
    "pandas",
    "matplotlib",
)


def imported_modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_the_package_never_imports_airflow():
    assert PACKAGE
    importers = {
        str(path): sorted(names)
        for path in PACKAGE
        if (names := {name for name in imported_modules(path) if name.split(".")[0] == "airflow"})
    }
    assert importers == {}


def test_the_dags_are_these():
    assert {path.stem for path in (REPOSITORY / "dags").glob("*.py")} == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_parsing_a_dag_file_loads_nothing_heavy(airflow_home, write_collections, name):
    """It is parsed every few seconds and before every task."""
    script = f"import sys, json, {name}; print(json.dumps([m for m in sys.modules]))"
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "PYTHONPATH": str(REPOSITORY / "dags"),
            "AIRFLOW_HOME": str(airflow_home),
            "NIGHTGLASS_COLLECTIONS_DIR": str(write_collections(cells="images: /data/{night}")),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    modules = {name.split(".")[0] for name in json.loads(loaded.splitlines()[-1])}
    assert "nightglass" in modules
    assert modules & set(HEAVY) == set()


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_dag_files_are_short(path):
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    assert len(path.read_text().splitlines()) <= 200
    assert {f.name: f.end_lineno - f.lineno for f in functions if f.end_lineno - f.lineno >= 40} == {}


@pytest.mark.parametrize(("name", "tasks"), TASKS.items())
def test_task_bodies_only_wire(name, tasks):
    """A docstring, at most a dozen statements, no loop, no handling of errors, and no with block."""
    tree = ast.parse((REPOSITORY / "dags" / f"{name}.py").read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    logic = (
        ast.For,
        ast.While,
        ast.Try,
        ast.With,
        ast.ListComp,
        ast.SetComp,
        ast.DictComp,
        ast.GeneratorExp,
        ast.Lambda,
    )

    assert len(found) == tasks
    for task in found:
        assert ast.get_docstring(task), task.name
        assert len(task.body) <= 12, task.name
        nodes = [type(node).__name__ for node in ast.walk(task) if isinstance(node, logic)]
        assert nodes == [], task.name


@pytest.mark.parametrize("name", TASKS)
def test_a_dag_file_holds_tasks_and_their_wiring_only(name):
    tree = ast.parse((REPOSITORY / "dags" / f"{name}.py").read_text())
    plain = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list}

    assert plain <= {"build_dag", "build_broken_dag"}


def test_only_main_is_a_plugin(tmp_path):
    from airflow._shared.module_loading import find_path_from_directory

    shutil.copy(REPOSITORY / "plugins" / ".airflowignore", tmp_path)
    (tmp_path / "pages").mkdir()
    for name in ("main.py", "pages.py", "pages/table.py"):
        (tmp_path / name).write_text("")

    found = [
        str(Path(path).relative_to(tmp_path)) for path in find_path_from_directory(str(tmp_path), ".airflowignore")
    ]

    assert [name for name in found if name.endswith(".py")] == ["main.py"]


def test_airflow_runs_one_plugin_and_what_it_imports_with_the_first_page():
    folder = REPOSITORY / "plugins"
    files = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    rules = [line for line in (folder / ".airflowignore").read_text().splitlines() if not line.startswith("#")]

    assert files == {".airflowignore", "main.py", "nightglass_rights.py", "nightglass_runs.py"}
    assert rules == ["*.py", "!main.py"]
    # Every process of Airflow loads its plugins.
    top = ast.parse((folder / "main.py").read_text()).body
    imported = {node.module for node in top if isinstance(node, ast.ImportFrom)}
    light = {
        "collections.abc",
        "threading",
        "typing",
        "urllib.parse",
        "airflow.configuration",
        "airflow.plugins_manager",
    }
    assert imported <= light


def test_no_file_is_longer_than_one_concept():
    folders = ("include", "dags", "plugins", "demo", "tests", "benchmarks")
    files = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]
    assert files
    assert {path.name: length for path in files if (length := len(path.read_text().splitlines())) > 300} == {}
