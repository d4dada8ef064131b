"""The ``nightglass`` command: one clear line for every bad input, results on stdout, all else on stderr."""

import contextlib
import os
import signal
import sys
import traceback

import click

from nightglass import __version__
from nightglass.cli.alerts import alerts
from nightglass.cli.backfill import backfill
from nightglass.cli.backup import backup, restore
from nightglass.cli.common import visible
from nightglass.cli.evaluate import evaluate
from nightglass.cli.fit import fit
from nightglass.cli.forget import forget
from nightglass.cli.maintenance import maintenance
from nightglass.cli.models import models
from nightglass.cli.plan import plan
from nightglass.cli.report import report
from nightglass.cli.reproduce import reproduce
from nightglass.cli.score import score
from nightglass.cli.verdict import verdict
from nightglass.errors import NightglassError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="nightglass")
def commands() -> None:
    """Score image folders for anomalies, and say when the production model must change."""


commands.add_command(fit)
commands.add_command(score)
commands.add_command(report)
commands.add_command(evaluate)
commands.add_command(reproduce)
commands.add_command(verdict)
commands.add_command(models)
commands.add_command(alerts)
commands.add_command(backfill)
commands.add_command(plan)
commands.add_command(backup)
commands.add_command(restore)
commands.add_command(forget)
commands.add_command(maintenance)


def main() -> None:
    """Run the command line; exit code 0 only on success."""
    # Without a network these libraries would wait for their telemetry or version checks.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # What is being written is cleaned up when a supervisor ends the command.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(_run())


def _run() -> int:
    try:
        commands.main(standalone_mode=False)
    except NightglassError as error:
        return _fail(str(error), 1)
    except click.exceptions.Abort:
        return _fail("interrupted", 130)
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            click.echo(error.format_message(), err=True)
        else:
            _fail(error.format_message(), error.exit_code)
        return error.exit_code
    except BrokenPipeError:
        # The reader of stdout went away, as `| head` does.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001  the last resort of a command: a bug is one line too
        if os.environ.get("NIGHTGLASS_DEBUG"):
            traceback.print_exc()
        return _fail(f"internal error: {type(error).__name__}: {error} (NIGHTGLASS_DEBUG=1 shows where)", 70)
    return 0


def _fail(message: str, code: int) -> int:
    click.echo(f"nightglass: {visible(' '.join(message.split()))}", err=True)
    return code
