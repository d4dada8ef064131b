"""What the benchmarks share: the machine's description, measured processes, tables and result files."""

import json
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from nightglass.engine.stage_times import count_workers
from nightglass.settings import read_settings

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"
LAUNCHER = Path(__file__).resolve().parent / "launcher.py"
#: Processor flags that decide how fast a network runs.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
PACKAGES = ("nightglass", "openvino", "torch", "torchvision", "timm", "faiss-cpu", "numpy", "pillow", "simplejpeg")
_LAST_LINES = 5


@dataclass(frozen=True)
class Measured:
    """What one process needed; its descendants that it waited for are counted in.

    ``peak_rss_bytes`` is that of the largest single process among them, not their sum.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    stdout: str

    def last_json(self) -> dict[str, Any]:
        """Return the JSON object on the last line of stdout that holds one.

        Raises:
            ValueError: No line does.
        """
        for line in reversed(self.stdout.splitlines()):
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise ValueError(f"expected a JSON object on a line of stdout, got {self.stdout[-200:]!r}")


class BenchmarkError(Exception):
    """A measured command failed, or what a benchmark needs is not there; the text is one clear line."""


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Run a benchmark's ``main`` and end the process: what it needs and has not is one line, no traceback."""
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"benchmark: {error}")


def bench_home() -> Path:
    """Return the folder that the benchmarks write into, made when it is not there."""
    home = read_settings().home / "bench"
    home.mkdir(parents=True, exist_ok=True)
    return home


def run_measured(
    command: Sequence[object], *, env: Mapping[str, str] | None = None, cwd: Path = REPOSITORY
) -> Measured:
    """Run a command to its end; its stdout is returned, its stderr is shown only when it fails.

    The command is a child of a small launcher, since a process counts as its own peak memory what its parent held
    when it was forked.

    Args:
        command: Program and arguments, whose texts are taken.
        env: The whole environment; by default this process's.
        cwd: Where it runs.

    Raises:
        BenchmarkError: It ended with another exit code than 0.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "usage.json"
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(report), *words]
        done = subprocess.run(launch, env=env, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            last = " | ".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
            raise BenchmarkError(f"{' '.join(words)[:200]}: expected exit code 0, got {done.returncode}: {last}")
        return Measured(**json.loads(report.read_text(encoding="utf-8")), stdout=done.stdout)


def machine() -> dict[str, Any]:
    """Describe this machine: processor, cores, flags, memory, GPU, versions of what computes."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    flags = set(re.findall(r"^flags\s*:\s*(.+)$", info, re.MULTILINE)[0].split()) if "flags" in info else set()
    memory = re.search(r"MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    return {
        "cpu": found[1].strip() if found else platform.machine(),
        "cores": count_workers(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "gpu": gpu_name(),
        "python": platform.python_version(),
        "versions": {name: known for name in PACKAGES if (known := _version(name))},
    }


def machine_name() -> str:
    """Return the machine's name in file names, such as ``amd-epyc-2-cores``."""
    described = machine()
    words = [described["cpu"], described["cores"], "cores", described["gpu"] or ""]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(map(str, words)).lower()).strip("-")


def gpu_name() -> str | None:
    """Return the name of the first NVIDIA GPU, or None."""
    if not (program := shutil.which("nvidia-smi")):
        return None
    asked = [program, "--query-gpu=name", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return told.splitlines()[0] if told else None


def write_results(name: str, results: Mapping[str, Any], *, variant: str = "", is_trial: bool = False) -> Path:
    """Write ``results`` with machine and command into ``benchmarks/results/NAME[-VARIANT][-trial]-<machine>.json``.

    A trial, smaller than the benchmark is by default, has a file of its own and takes no other's place.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{'-'.join(filter(None, (name, variant, 'trial' * is_trial, machine_name())))}.json"
    command = " ".join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]])
    whole = {"benchmark": name, "command": command, "machine": machine(), **results}
    path.write_text(json.dumps(whole, indent=1, default=_as_json) + "\n", encoding="utf-8")
    print(f"\nresults: {path}", file=sys.stderr)
    return path


def table(rows: Iterable[Mapping[str, object]], columns: Mapping[str, str]) -> str:
    """Return a Markdown table of ``rows``; ``columns`` maps each key to its title, in order."""
    lines = [" | ".join(columns.values()), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(key)) for key in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def median(values: Iterable[float]) -> float:
    """Return the median of at least one value."""
    return float(statistics.median(values))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value).replace("|", "\\|")


def _as_json(value: object) -> object:
    if isinstance(value, Measured):
        return {key: entry for key, entry in asdict(value).items() if key != "stdout"}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    raise TypeError(f"expected something that JSON holds, got {type(value).__name__}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
