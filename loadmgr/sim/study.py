"""Studies: every combination of choices simulated once, as one tidy table.

Rules kept here
---------------
1. A case is named by its choices, and its result depends on them alone: not on the order, the number of workers or
   where it ran.
2. A finished case is one line in the results file; a study that is started again leaves it out. Nothing is kept in
   memory but rows of figures.
3. Work goes to any ``concurrent.futures`` executor; local processes are the default.
"""

import hashlib
import itertools
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadmgr.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Case = Mapping[str, Any]
"""The choices of one simulation by name: plain values."""

Simulate = Callable[[Case], Mapping[str, Any]]
"""Simulates a case and returns its figures; importable by name, so that any worker can call it."""

AHEAD = 4
"""Cases handed out per worker before the first is back: enough to keep them busy, few enough to stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is to be compared.

    Parameters
    ----------
    simulate : callable
        A function at the top of a module: it is sent to workers by its name.
    choices : mapping of str to sequence
        Values of each choice, such as ``{"strategy": [...], "fuse_a": [...], "seed": range(10)}``.

    Examples
    --------
    >>> study = Study(simulate=dict, choices={"strategy": ["first_come", "program"], "seed": [1, 2]})
    >>> len(list(study.cases()))
    4
    """

    simulate: Simulate
    choices: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        for name, values in self.choices.items():
            if not len(values):
                raise ValueError(f"choices of {name} must hold at least one value")
        if not self.choices:
            raise ValueError("choices must name at least one choice")

    def cases(self) -> Iterator[dict[str, Any]]:
        """Yield every combination, the last choice running fastest."""
        for values in itertools.product(*self.choices.values()):
            yield dict(zip(self.choices, values, strict=True))


def case_key(case: Case) -> str:
    """Return the name of a case: the same for the same choices, in whatever order they stand."""
    text = json.dumps(dict(case), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_study(
    study: Study,
    *,
    results: Path | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "pd.DataFrame":
    """Simulate every case and return one row for each, in the order of the cases.

    Parameters
    ----------
    study : Study
    results : Path, optional
        A file of JSON lines; cases that are in it are not simulated again, new ones are appended as they finish.
    workers : int, optional
        Local processes; ``None`` takes one for each processor. Ignored where an executor is given.
    executor : Executor, optional
        Anything of ``concurrent.futures``; it is left open.
    progress : callable, optional
        Told how many cases are done, and how many there are.

    Raises
    ------
    InputError
        If the results file cannot be read.
    """
    import pandas as pd

    done = {} if results is None else _read(results)
    cases = {case_key(case): case for case in study.cases()}
    missing = {key: case for key, case in cases.items() if key not in done}
    finished = len(cases) - len(missing)
    if progress is not None:
        progress(finished, len(cases))
    for key, figures in _simulated(study, missing, workers=workers, executor=executor):
        done[key] = figures
        if results is not None:
            _append(results, key=key, case=cases[key], figures=figures)
        finished += 1
        if progress is not None:
            progress(finished, len(cases))
    return pd.DataFrame([{**case, **done[key]} for key, case in cases.items()])


def _simulated(
    study: Study, cases: Mapping[str, Case], *, workers: int | None, executor: Executor | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the figures of each case as it finishes."""
    if not cases:
        return
    if executor is not None:
        yield from _streamed(study, cases, executor, ahead=AHEAD * 16)
    elif workers == 1:
        for key, case in cases.items():
            yield key, dict(study.simulate(case))
    else:
        count = workers or multiprocessing.cpu_count()
        # Workers start fresh: a fork of a process with solver threads may hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=count, mp_context=context) as pool:
            yield from _streamed(study, cases, pool, ahead=AHEAD * count)


def _streamed(
    study: Study, cases: Mapping[str, Case], executor: Executor, *, ahead: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    waiting: dict[Future[Mapping[str, Any]], str] = {}
    upcoming = iter(cases.items())
    while True:
        for key, case in itertools.islice(upcoming, ahead - len(waiting)):
            waiting[executor.submit(study.simulate, dict(case))] = key
        if not waiting:
            return
        finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in sorted(finished, key=waiting.__getitem__):
            yield waiting.pop(future), dict(future.result())


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the figures in a results file; a last line that a crash has cut is left out."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    out = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            out[row["key"]] = row["figures"]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and not line.endswith("\n"):
                path.write_text("".join(lines[:-1]), encoding="utf-8")
                break
            raise InputError(f"{path}: line {number}: not a result of a study: {error}") from error
    return out


def _append(path: Path, *, key: str, case: Case, figures: Mapping[str, Any]) -> None:
    line = json.dumps({"key": key, "case": dict(case), "figures": dict(figures)}, default=str)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
