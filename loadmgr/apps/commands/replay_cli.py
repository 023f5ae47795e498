"""``loadmgr replay``: a journal made again decision by decision, and what another site file would have made of it."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.control.command import Command
    from loadmgr.store.replay import Replay

EXIT_DIFFERENT = 1
MOST_SHOWN = 5

Name = Annotated[str | None, typer.Option(metavar="NAME", help="Which site, where the database holds several.")]


def replay(
    journal: Annotated[str, typer.Argument(metavar="JOURNAL", help="A file, or postgresql://...")],
    *,
    site_name: Name = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Begin here, such as 2026-11-21T08:00Z.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Stop here.")] = None,
    what_if: Annotated[
        Path | None,
        typer.Option(metavar="SITE.yaml", help="Play the journal's sessions on this site too, and compare."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make every decision of a journal again and compare: exit status 1 unless all commands come out the same.

    Examples: `loadmgr replay my-site.journal.sqlite3`, `loadmgr replay my-site.journal.sqlite3 --what-if bigger.yaml`
    """
    from loadmgr.store.open import open_tables
    from loadmgr.store.replay import replay as play

    begin, end = _instant("--since", since), _instant("--until", until)
    tables = open_tables(journal, site=site_name)
    try:
        if what_if is not None:
            from loadmgr.apps.what_if import compare, show

            rows = compare(tables, what_if, since=begin, until=end)
            typer.echo(json.dumps(rows, indent=2)) if as_json else show(rows)
            return
        result = play(tables, since=begin, until=end)
    finally:
        tables.close()
    typer.echo(json.dumps(_document(result), indent=2) if as_json else _words(result))
    if not result.identical:
        raise typer.Exit(EXIT_DIFFERENT)


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{option}: {text!r} is no instant; write 2026-11-21T08:00Z") from error
    if at.tzinfo is None:
        raise InputError(f"{option}: {text} has no zone; write {text}Z for UTC")
    return at


def _words(result: "Replay") -> str:
    wrote = "; ".join(sorted(result.versions))
    lines = [f"written by {wrote}"]
    if result.begins is not None and result.ends is not None:
        lines.append(f"from {result.begins:%Y-%m-%d %H:%M:%S} to {result.ends:%Y-%m-%d %H:%M:%S} UTC")
    for each in result.differences[:MOST_SHOWN]:
        lines.append(f"entry {each.number}, {each.at:%Y-%m-%d %H:%M:%S.%f} UTC: decides otherwise")
        lines += [f"  recorded: {_command(c)}" for c in each.recorded if c not in each.again]
        lines += [f"  now:      {_command(c)}" for c in each.again if c not in each.recorded]
    if len(result.differences) > MOST_SHOWN:
        lines.append(f"and {len(result.differences) - MOST_SHOWN} more")
    if result.holes:
        lines.append(f"{result.holes} times entries are missing, because the journal could not be written")
    if result.skipped:
        lines.append(
            f"{result.skipped} decisions lie between a difference or a hole and the next snapshot: not made again"
        )
    verdict = "identical" if result.identical else f"{len(result.differences)} come out otherwise"
    lines.append(f"{result.decisions} decisions with {result.commands} commands made again: {verdict}")
    return "\n".join(lines)


def _command(command: "Command") -> str:
    return f"{type(command).__name__} to {command.station}: {command.reason}"


def _document(result: "Replay") -> dict[str, Any]:
    return {
        "identical": result.identical,
        "begins": None if result.begins is None else result.begins.isoformat(),
        "ends": None if result.ends is None else result.ends.isoformat(),
        "decisions": result.decisions,
        "commands": result.commands,
        "skipped": result.skipped,
        "holes": result.holes,
        "versions": sorted(result.versions),
        "differences": [
            {
                "entry": each.number,
                "at": each.at.isoformat(),
                "recorded": [_command(c) for c in each.recorded],
                "again": [_command(c) for c in each.again],
            }
            for each in result.differences
        ],
    }
