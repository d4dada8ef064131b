"""``nightglass backfill``: what another version would have said of nights that were decided already."""

from typing import Any

import click

from nightglass.cli.common import json_option, named_collection, print_result, showing_progress, visible


@click.command()
@click.option("--collection", required=True, help="YAML file of a collection, or its name.")
@click.option("--from", "since", required=True, metavar="DATE", help="First night, YYYY-MM-DD.")
@click.option("--to", "until", required=True, metavar="DATE", help="Last night, counted in.")
@click.option(
    "--model", "version", required=True, metavar="VERSION", help="Number of a registered version, or champion."
)
@click.option("--parallel", default=1, show_default=True, help="Nights at once, which share the processors.")
@json_option
def backfill(*, collection: str, since: str, until: str, version: str, parallel: int, as_json: bool) -> None:
    """Score published nights again with another version, beside what was decided at the time.

    Nothing of the published nights changes. A run that was killed goes on where it stopped.
    """
    from nightglass.backfill.plan import plan_backfill
    from nightglass.backfill.records import check_parallel
    from nightglass.backfill.running import run_backfill

    check_parallel(parallel)
    file, _ = named_collection(collection)
    with showing_progress():
        plan = plan_backfill(str(file), since=since, until=until, version=version)
        waiting = [night.night for night in plan.nights if not night.is_scored]
        click.echo(f"{len(waiting)} of {len(plan.nights)} nights are to be scored", err=True)
        done = run_backfill(plan, parallel=parallel, tell=_tell_night)
    result = done.model_dump(mode="json", exclude={"model"})
    counts = {"model": done.model.name, "version": done.model.version, "scored": len(waiting)}
    print_result(result | counts, as_json=as_json, tell=_tell)


def _tell_night(night: str, reason: str | None) -> None:
    click.echo(f"{night}: {f'skipped: {visible(reason)}' if reason else 'scored'}", err=True)


def _tell(result: dict[str, Any]) -> str:
    lines = []
    if result["nights"]:
        lines.append(
            f"{'night':10}  {'champion':>18}  {'version ' + result['version']:>18}  {'ranks':>6}  top anomalies"
        )
    lines += [_tell_row(row) for row in result["nights"]]
    lines += [f"{row['night']:10}  skipped: {row['reason']}" for row in result["skipped"]]
    return "\n".join([*lines, result["sentence"]])


def _tell_row(row: dict[str, Any]) -> str:
    scored = row["scored"]
    sides = [
        f"{_percent(row['both_anomalous'] + row[only], scored):>7} {row[decision]}"
        for only, decision in (("only_champion", "champion_decision"), ("only_rescored", "decision"))
    ]
    ranks = "-" if row["rank_correlation"] is None else f"{row['rank_correlation']:.3f}"
    left_out = f"; {row['left_out']} images are gone" if row["left_out"] else ""
    same = f"{row['top_k_overlap']} of {row['top_k']} the same"
    return f"{row['night']:10}  {sides[0]:>18}  {sides[1]:>18}  {ranks:>6}  {same}{left_out}"


def _percent(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "-"
