"""Commands with many options: the fields of a frozen dataclass are the options, and its docstring is not their help."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

Given = TypeVar("Given")


def command_of(options: type[Given], body: Callable[[Given], None]) -> Callable[..., None]:
    """Return a command with an option for each field of a dataclass, in their order, and the help of its body.

    Parameters
    ----------
    options : type
        A frozen dataclass whose fields are annotated as options or arguments of typer.
    body : callable
        Does what the command does, with what was given.
    """

    def command(**given: Any) -> None:
        body(options(**given))

    command.__doc__ = body.__doc__
    command.__annotations__ = get_type_hints(options, include_extras=True)
    command.__signature__ = inspect.signature(options)  # type: ignore[attr-defined]  # where typer looks
    return command
