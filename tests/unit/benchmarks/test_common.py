import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import common
from benchmarks.common import BenchmarkError, Measured, machine_name, run_main, run_measured, table, write_results


def test_table_is_markdown_with_the_columns_in_their_order():
    rows = [{"b": 1234.5678, "a": "x|y"}, {"a": None, "b": 0.012345}, {"a": 7}]
    assert table(rows, {"a": "A", "b": "B"}).splitlines() == [
        "| A | B |",
        "| --- | --- |",
        "| x\\|y | 1,235 |",
        "| - | 0.0123 |",
        "| 7 | - |",
    ]


def test_machine_name_can_stand_in_a_file_name_and_tells_the_cores():
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", machine_name())
    assert "-cores" in machine_name()


def test_the_last_json_of_a_noisy_process_is_found():
    measured = Measured(1.0, 1.0, 1, 'noise\n{"first": 1}\n{"last": 2}\nmore noise\n')
    assert measured.last_json() == {"last": 2}
    with pytest.raises(ValueError, match="JSON object"):
        Measured(1.0, 1.0, 1, "only noise\n").last_json()


def test_a_process_is_measured_without_the_memory_of_the_one_that_started_it():
    held = np.ones(60_000_000)  # 480 MB
    small = run_measured([sys.executable, "-S", "-c", "print('done')"])
    large = run_measured([sys.executable, "-S", "-c", "held = bytearray(b'x') * 200_000_000"])
    assert held.nbytes == 480_000_000
    assert small.stdout == "done\n"
    assert small.peak_rss_bytes < 100_000_000
    assert 200_000_000 < large.peak_rss_bytes < 300_000_000


def test_a_process_that_fails_is_told_in_one_line_with_its_last_words():
    with pytest.raises(BenchmarkError, match=r"expected exit code 0, got 3: .*no such thing") as caught:
        run_measured([sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"])
    assert "\n" not in str(caught.value)


def test_results_hold_machine_and_command_and_are_named_after_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    figures = {"speed": np.float32(1.5), "path": Path("a/b"), "run": Measured(1.0, 2.0, 3, "a long output")}
    path = write_results("throughput", figures, variant="cookies")
    written = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"throughput-cookies-{machine_name()}.json"
    assert written["benchmark"] == "throughput"
    assert written["command"].startswith("python -m benchmarks.throughput")
    assert written["machine"]["cores"] >= 1
    assert (written["speed"], written["path"]) == (1.5, "a/b")
    assert written["run"] == {"seconds": 1.0, "cpu_seconds": 2.0, "peak_rss_bytes": 3}


def test_a_trial_does_not_take_the_place_of_the_whole_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    whole = write_results("scale", {"rows": 1_000_000})
    trial = write_results("scale", {"rows": 10}, is_trial=True)
    assert trial.name == f"scale-trial-{machine_name()}.json"
    assert json.loads(whole.read_text(encoding="utf-8"))["rows"] == 1_000_000


def test_what_a_benchmark_lacks_is_one_line_and_no_traceback():
    def lack() -> None:
        raise BenchmarkError("expected a folder, got none")

    with pytest.raises(SystemExit) as ended:
        run_main(lack)
    assert ended.value.code == "benchmark: expected a folder, got none"


@pytest.mark.parametrize(("returned", "code"), [(None, None), (0, 0), (1, 1)])
def test_the_exit_code_is_what_main_returned(returned, code):
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: returned)
    assert ended.value.code == code
