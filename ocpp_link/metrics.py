"""Prometheus counters and latencies of a wire log, by action and outcome, in the text format."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ocpp_link.wirelog import WireRecord

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """A sink of `ocpp_link.wirelog.WireLog` that counts, frames of a CSMS above apart from those of stations.

    Stations do not appear as labels: a site's own log tells them apart, a time series for each would not scale.
    """

    def __init__(self) -> None:
        self._of_stations = _Counts("ocpp")
        self._of_csms = _Counts("ocpp_csms")

    def __call__(self, record: WireRecord) -> None:
        """Count one record."""
        (self._of_csms if record.peer == "csms" else self._of_stations).count(record)

    def render(self, *, connections: int, mends: Mapping[str, int]) -> str:
        """Return the metrics in Prometheus' text format.

        Parameters
        ----------
        connections
            Stations that are connected now.
        mends
            How often each repair was needed, over all stations.
        """
        return "\n".join([*self._lines(connections, mends), ""])

    def _lines(self, connections: int, mends: Mapping[str, int]) -> Iterator[str]:
        yield from family("ocpp_connections", "gauge", "Stations that are connected.", [({}, connections)])
        yield from family(
            "ocpp_repairs_total",
            "counter",
            "Repairs of what stations sent, by name.",
            [({"repair": name}, count) for name, count in sorted(mends.items())],
        )
        yield from self._of_stations.lines()
        if self._of_csms.frames:
            yield from self._of_csms.lines()


class _Counts:
    """What one kind of peer says and is told; ``prefix`` begins the names of its metrics."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.frames: Counter[tuple[str, str, str]] = Counter()
        self._errors: Counter[tuple[str, str, str]] = Counter()
        self._took_buckets: Counter[tuple[str, str, float]] = Counter()
        self._took_sum_s: Counter[tuple[str, str]] = Counter()
        self._took_count: Counter[tuple[str, str]] = Counter()

    def count(self, record: WireRecord) -> None:
        self.frames[record.direction, record.kind, record.action] += 1
        if record.kind in ("CALLERROR", "CALLRESULTERROR"):
            self._errors[record.direction, record.action, record.outcome] += 1
        if record.took_s is not None:
            # An answer that comes in ends a call that went out: named after who asked.
            key = ("ours" if record.direction == "in" else "theirs", record.action)
            self._took_count[key] += 1
            self._took_sum_s[key] += record.took_s  # type: ignore[assignment]
            for bound_s in _BUCKETS_S:
                if record.took_s <= bound_s:
                    self._took_buckets[(*key, bound_s)] += 1

    def lines(self) -> Iterator[str]:
        yield from family(
            f"{self._prefix}_frames_total",
            "counter",
            "Frames by direction, type and action.",
            [({"direction": d, "type": k, "action": a}, n) for (d, k, a), n in sorted(self.frames.items())],
        )
        yield from family(
            f"{self._prefix}_errors_total",
            "counter",
            "Error answers by direction, action and code.",
            [({"direction": d, "action": a, "code": c}, n) for (d, a, c), n in sorted(self._errors.items())],
        )
        name = f"{self._prefix}_answer_seconds"
        yield f"# HELP {name} Time from a call to its answer, by who asked."
        yield f"# TYPE {name} histogram"
        for (caller, action), count in sorted(self._took_count.items()):
            labels = {"caller": caller, "action": action}
            for bound_s in _BUCKETS_S:
                counted = self._took_buckets[caller, action, bound_s]
                yield sample(f"{name}_bucket", labels | {"le": f"{bound_s:g}"}, counted)
            yield sample(f"{name}_bucket", labels | {"le": "+Inf"}, count)
            yield sample(f"{name}_sum", labels, round(float(self._took_sum_s[caller, action]), 6))
            yield sample(f"{name}_count", labels, count)


def family(name: str, kind: str, text: str, samples: Iterable[tuple[dict[str, str], float]]) -> Iterator[str]:
    """Yield the lines of a metric: what it is, and a sample for each set of labels."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield sample(name, labels, value)


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Return one line of a metric."""
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
