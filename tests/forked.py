"""Python programs in processes of their own that need not import the libraries first.

A server imports them once and forks itself for every program. Such a process is killed, exits and writes like any
other; it only begins some seconds later in its life. What must be tried from a process's very start is started anew.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(__file__).resolve().parents[1]


class ForkServer:
    """A process that has imported what tasks import, and forks itself for every program that it is given."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, code: str, arguments: Sequence[object] = (), env: Mapping[str, str] | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``code`` as ``python -c`` would, with ``text`` on its stdin, and wait for its end.

        Args:
            code: The program.
            arguments: Its ``sys.argv`` after the first.
            env: Changes of this process's environment.
            text: Its stdin.
        """
        server = self._start()
        with tempfile.TemporaryDirectory(prefix="forked-") as folder:
            files = [f"{folder}/{name}" for name in ("stdin", "stdout", "stderr")]
            Path(files[0]).write_text(text, encoding="utf-8")
            argv = ["-c", *map(str, arguments)]
            job = {
                "code": code,
                "argv": argv,
                "files": files,
                "env": {**os.environ, **(env or {})},
                "cwd": str(Path.cwd()),
            }
            assert server.stdin
            assert server.stdout
            server.stdin.write(json.dumps(job) + "\n")
            server.stdin.flush()
            answer = server.stdout.readline()
            assert answer, "the server that forks has ended"
            output, error = (Path(file).read_text(encoding="utf-8") for file in files[1:])
        return subprocess.CompletedProcess(argv, int(answer), output, error)

    def _start(self) -> "subprocess.Popen[str]":
        if self._server is None:
            command = [sys.executable, "-m", "tests.forked"]
            self._server = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
            )
        return self._server


#: The one of this process. It ends with it, as its stdin does.
FORKS = ForkServer()


def _serve() -> None:
    """Fork for every line of stdin, and answer with how the process ended, as `subprocess` does."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever an import writes is no answer
    sys.path.insert(0, str(REPOSITORY / "demo"))
    from scheduler import import_libraries

    import_libraries()
    gc.freeze()  # its collections would copy every page
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _become(job: dict[str, Any]) -> NoReturn:
    """Be the program, to its end; of what Python does at an end only the clearing of every module is left out."""
    os.setsid()
    for number, file in enumerate(job["files"]):
        flags = os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY
        os.dup2(os.open(file, flags), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the server's has read ahead
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv[:] = job["argv"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 0
    try:
        exec(compile(job["code"], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own program
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told as Python tells it
        traceback.print_exc()
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
