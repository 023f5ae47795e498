"""Sheets of what was tried out in the field: to be read, signed and kept."""

from collections.abc import Sequence
from textwrap import wrap

WIDTH = 100


def sheet(title: str, facts: Sequence[tuple[str, str]], rows: Sequence[tuple[str, str, str]]) -> str:
    """Return a sheet: a title, facts by name, a row for each finding (what, result, why), and room for signatures."""
    lines = [title, "=" * len(title), ""]
    names = max((len(name) for name, _ in facts), default=0)
    lines += [f"{name + ':':<{names + 2}}{value or '-'}" for name, value in facts]
    first = max((len(what) for what, _, _ in rows), default=0)
    second = max((len(result) for _, result, _ in rows), default=0)
    lines.append("")
    for what, result, why in rows:
        said = wrap(why, WIDTH - first - second - 4) or [""]
        lines.append(f"{what:<{first}}  {result:<{second}}  {said[0]}".rstrip())
        lines += [" " * (first + second + 4) + more for more in said[1:]]
    lines += ["", "", f"{'Place, date: ':_<44}    {'Name, signature: ':_<48}", ""]
    return "\n".join(lines)
