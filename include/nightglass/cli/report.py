"""``nightglass report``."""

from pathlib import Path

import click

from nightglass.cli.common import json_option, print_result, showing_progress


@click.command()
@click.option("--scores", required=True, help="Folder or s3:// address that `nightglass score` wrote.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="HTML file to write.")
@json_option
def report(*, scores: str, out: Path, as_json: bool) -> None:
    """Make one self-contained HTML file of a folder of scores."""
    from nightglass.errors import InputError
    from nightglass.night.cost import read_cost
    from nightglass.night.report import render_report
    from nightglass.settings import read_settings
    from nightglass.storage import open_folder

    if out.is_dir():
        raise InputError(f"--out: expected the name of an HTML file, got the folder {out}")
    with showing_progress():
        source = open_folder(scores)
        html = render_report(source, cost=read_cost(source, read_settings())).encode()
        target = open_folder(out.absolute().parent)
        target.write_bytes(out.name, html)
    print_result(
        {"report": str(out), "size_bytes": len(html)},
        as_json=as_json,
        tell=lambda result: f"report: {result['report']} ({result['size_bytes'] / 1e6:.1f} MB)",
    )
