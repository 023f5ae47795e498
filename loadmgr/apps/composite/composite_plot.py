"""``loadmgr composite --plot``: a lane for each purpose and stack level, and the resulting limit below."""

from datetime import timedelta
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle

from loadmgr.bridge.profile_json import purpose_word
from loadmgr.composite.answer import CompositeSchedule
from loadmgr.composite.lanes import Lane, lanes
from loadmgr.composite.schedule import ProfileSource
from loadmgr.errors import InputError
from loadmgr.model.profile import OcppVersion, ProfilePurpose, RateUnit, SchedulePeriod

_COLOURS = {
    ProfilePurpose.PRIORITY_CHARGING: "#aa3377",
    ProfilePurpose.TX: "#4477aa",
    ProfilePurpose.TX_DEFAULT: "#228833",
    ProfilePurpose.EXTERNAL_CONSTRAINTS: "#ccbb44",
    ProfilePurpose.CHARGE_POINT_MAX: "#ee6677",
    ProfilePurpose.LOCAL_GENERATION: "#66ccee",
}
_LINES = {
    "L2": ("--", "black"),
    "L3": (":", "black"),
    "setpoint": ("-.", "#aa3377"),
    "discharge limit": ("-", "#997700"),
}
_HIDDEN = "#dddddd"
_HEIGHT = 0.72
_FAR = 8.0  # so many times the next highest limit is off the scale


def draw_lanes(source: ProfileSource, schedule: CompositeSchedule, path: Path) -> Figure:
    """Draw a composite schedule and the lanes that it was made from, and save the picture.

    Raises
    ------
    InputError
        If the ending of the path names no format.

    Parameters
    ----------
    source : ProfileSource
    schedule : CompositeSchedule
    path : Path
        Its ending names the format.
    """
    figure = lanes_figure(source, schedule)
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in formats:
        raise InputError(f"--plot {path}: the ending must be one of {', '.join(sorted(formats))}")
    figure.savefig(path, dpi=140)
    return figure


def lanes_figure(source: ProfileSource, schedule: CompositeSchedule) -> Figure:
    """Return the picture of a composite schedule and the lanes that it was made from."""
    stack = lanes(source, schedule)
    count = max(len(stack), 1)
    figure = Figure(figsize=(11.0, 2.9 + 0.42 * count), layout="constrained")
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0.0, 0.0, 0.985, 1.0))  # room for the last label of the time axis
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[0.42 * count, 2.0])
    end = schedule.start + timedelta(seconds=max(schedule.duration_s, 1))
    below.set_xlim(date2num(schedule.start), date2num(end))
    _draw_stack(above, stack, schedule, source.settings.version)
    _draw_result(below, schedule)
    where = "the station" if schedule.evse_id == 0 else f"EVSE {schedule.evse_id}"
    above.set_title(f"Composite schedule of {where}", loc="left", fontsize=11)
    return figure


def _draw_stack(axes: Axes, stack: tuple[Lane, ...], schedule: CompositeSchedule, version: OcppVersion) -> None:
    deciding = _deciding(schedule)
    for row, lane in enumerate(stack):
        for piece in lane.pieces:
            left, right = date2num(piece.start), date2num(piece.end)
            colour = _COLOURS[lane.profile.purpose] if piece.leads else _HIDDEN
            axes.add_patch(
                Rectangle((left, row - _HEIGHT / 2), right - left, _HEIGHT, facecolor=colour, edgecolor="white")
            )
            _write_limit(axes, (left, right), row, piece.period, light=piece.leads)
        for left, right in deciding.get(id(lane.profile), []):
            frame = Rectangle((left, row - _HEIGHT / 2), right - left, _HEIGHT, fill=False, edgecolor="black")
            frame.set_linewidth(1.6)
            axes.add_patch(frame)
    names = [_name(lane, version, of_station=schedule.evse_id == 0) for lane in stack]
    axes.set_yticks(range(len(stack)), names)
    axes.set_ylim(max(len(stack), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.tick_params(axis="x", labelbottom=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if not stack:
        axes.text(0.5, 0.5, "no profile takes part", transform=axes.transAxes, ha="center", va="center")
    axes.legend(
        handles=[
            Patch(facecolor="#777777", label="leads its layer"),
            Patch(facecolor=_HIDDEN, label="hidden by a higher one"),
            Patch(facecolor="white", edgecolor="black", linewidth=1.6, label="decides the limit"),
        ],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=3,
        frameon=False,
        fontsize=8,
    )


def _name(lane: Lane, version: OcppVersion, *, of_station: bool) -> str:
    profile = lane.profile
    where = f"EVSE {lane.evse_id}: " if of_station and lane.evse_id > 0 else ""
    if not lane.installed:
        return f"{where}the vehicle's own  [{lane.unit.value}]"
    purpose = purpose_word(profile.purpose, version)
    return f"{where}{purpose}  level {profile.stack_level}  #{profile.profile_id}  [{lane.unit.value}]"


def _write_limit(axes: Axes, span: tuple[float, float], row: int, period: SchedulePeriod, *, light: bool) -> None:
    """Write a limit, or what stands in its place, into its piece, if the piece is wide enough to hold it."""
    left, right = span
    low, high = axes.get_xlim()
    limits = [f"{v:g}" for v in (period.limit, period.limit_l2, period.limit_l3) if v is not None]
    words = "/".join(limits) or (f"setpoint {period.setpoint:g}" if period.setpoint is not None else "")
    words = words or ("" if period.operation_mode is None else period.operation_mode.value)
    if not words or (right - left) < 0.008 * (high - low) * (1 + len(words)):
        return
    axes.text(
        left + 0.006 * (high - low),
        row,
        words,
        ha="left",
        va="center",
        fontsize=7,
        color="white" if light else "#777777",
    )


def _deciding(schedule: CompositeSchedule) -> dict[int, list[tuple[float, float]]]:
    """Return the spans on which each profile decides, by the profile's identity."""
    out: dict[int, list[tuple[float, float]]] = {}
    ends = [row[0] for row in schedule.rows[1:]] + [schedule.duration_s]
    for (start_s, _, _), by, end_s in zip(schedule.rows, schedule.deciders, ends, strict=True):
        left, right = (date2num(schedule.start + timedelta(seconds=s)) for s in (start_s, end_s))
        for owner in dict.fromkeys(id(owner.profile) for _, _, owner, _ in by):
            spans = out.setdefault(owner, [])
            if spans and spans[-1][1] == left:  # it goes on deciding, though the limit changes
                left_before, _ = spans.pop()
                spans.append((left_before, right))
            else:
                spans.append((left, right))
    return out


def _besides(schedule: CompositeSchedule) -> dict[str, list[float]]:
    """Return what a schedule says beside a limit of all phases alike, by name; NaN where it says nothing."""
    said = {
        "L2": [p.limit_l2 for p in schedule.rich or ()],
        "L3": [p.limit_l3 for p in schedule.rich or ()],
        "setpoint": [p.setpoint for p in schedule.rich or ()],
        "discharge limit": [p.discharge_limit for p in schedule.rich or ()],
    }
    return {
        name: [float("nan") if value is None else value for value in values]
        for name, values in said.items()
        if any(value is not None for value in values)
    }


def _top(schedule: CompositeSchedule) -> float:
    """Return the top of the scale: a number that stands for "no limit" must not press the others flat."""
    besides = (value for values in _besides(schedule).values() for value in values)
    sizes = sorted({v for v in (*(limit for _, limit, _ in schedule.rows), *besides) if v and v > 0.0}) or [1.0]
    far = len(sizes) > 1 and sizes[-1] > _FAR * sizes[-2]
    return 1.15 * (sizes[-2] if far else sizes[-1])


def _draw_result(axes: Axes, schedule: CompositeSchedule) -> None:
    starts = [date2num(schedule.start + timedelta(seconds=row[0])) for row in schedule.rows]
    end = date2num(schedule.start + timedelta(seconds=max(schedule.duration_s, 1)))
    ends = [*starts[1:], end]
    for left, right, (_, limit, _), by in zip(starts, ends, schedule.rows, schedule.deciders, strict=True):
        if limit is None:
            continue
        colour = _COLOURS[by[0][2].profile.purpose] if by else "#999999"
        axes.fill_between([left, right], [limit, limit], color=colour, alpha=0.35, linewidth=0)
    values = [float("nan") if limit is None else limit for _, limit, _ in schedule.rows]
    besides = _besides(schedule)
    label = "L1" if "L2" in besides else "limit"
    axes.step([*starts, end], [*values, values[-1]], where="post", color="black", linewidth=1.4, label=label)
    for name, others in besides.items():
        style, colour = _LINES[name]
        axes.step(
            [*starts, end],
            [*others, others[-1]],
            where="post",
            color=colour,
            linestyle=style,
            linewidth=1.4,
            label=name,
        )
    lowest = min((v for others in besides.values() for v in others if v < 0.0), default=0.0)
    axes.set_ylim(1.15 * lowest, _top(schedule))
    if besides:
        axes.legend(loc="upper right", ncols=len(besides) + 1, fontsize=8, framealpha=0.8)
    unit = "A per phase" if schedule.unit is RateUnit.A else "W"
    axes.set_ylabel(f"limit [{unit}]", fontsize=9)
    axes.set_xlabel("time, UTC", fontsize=9)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
