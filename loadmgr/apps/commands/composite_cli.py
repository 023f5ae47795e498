"""``loadmgr composite``: composite schedules of documents, as JSON, as a table that explains, or as a picture."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.apps.composite.composite_run import Outcome


def composite(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A JSON document or an array of them; - is standard input.")
    ],
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print each period, its limit and the profile that decides it.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT.png", help="Draw the lanes of the last schedule.")
    ] = None,
) -> None:
    """Compute what OCPP charging profiles come to: install, clear and list them, and ask for composite schedules.

    An answer expands at most a million periods and a hundred years: beyond, duration_s says how far it reaches.
    """
    outcomes, several = _outcomes(file)
    if plot is not None:
        _draw(outcomes, plot)
    if explain:
        from loadmgr.apps.composite.composite_explain import print_explanation

        for outcome in outcomes:
            print_explanation(outcome)
        return
    results = [{"results": outcome.results} for outcome in outcomes]
    typer.echo(json.dumps(results if several else results[0], allow_nan=False))


def _outcomes(file: str) -> "tuple[list[Outcome], bool]":
    """Read every document before anything is computed or printed."""
    from loadmgr.apps.composite.composite_document import read_document
    from loadmgr.apps.composite.composite_run import run_document

    name = "standard input" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        data = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {error}") from None
    several = isinstance(data, list)
    documents = [
        read_document(item, place=f"{name}: document {number}")
        for number, item in enumerate(data if several else [data], start=1)
    ]
    return [run_document(document) for document in documents], several


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object, unless it says a key twice: one of the two would be dropped in silence."""
    out: dict[str, object] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"key {key!r} stands twice in one object")
        out[key] = value
    return out


def _draw(outcomes: "list[Outcome]", path: Path) -> None:
    asked = [outcome for outcome in outcomes if outcome.schedules]
    if not asked:
        raise InputError("--plot: no document asks for a composite schedule that is answered")
    from loadmgr.apps.composite.composite_plot import draw_lanes

    draw_lanes(asked[-1].store, asked[-1].schedules[-1], path)


if __name__ == "__main__":
    typer.run(composite)
