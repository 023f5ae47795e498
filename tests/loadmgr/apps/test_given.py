"""Commands whose options are the fields of a dataclass."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from loadmgr.apps.commands.given import command_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PourGiven:
    """What is given."""

    cup: Annotated[str, typer.Argument(help="Which cup.")]
    sugar: Annotated[int, typer.Option(min=0, help="Lumps.")] = 1


def pour(given: PourGiven) -> None:
    """Pour a cup."""
    typer.echo(f"{given.cup} {given.sugar}")


def said(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command("pour")(command_of(PourGiven, pour))
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_each_field_is_an_argument_or_an_option_with_its_default() -> None:
    assert (0, "blue 1\n") == said("blue")
    assert (0, "blue 3\n") == said("blue", "--sugar", "3")
    assert 2 == said("blue", "--sugar", "-1")[0]


def test_the_help_is_that_of_the_body() -> None:
    assert "Pour a cup." in said("--help")[1]
