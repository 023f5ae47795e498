"""Prometheus counters and latencies of a wire log, by action and outcome, in the text format."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ocpp_link.wirelog import WireRecord

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """A sink of `ocpp_link.wirelog.WireLog` that counts.

    Stations do not appear as labels: a site's own log tells them apart, a time series for each would not scale.
    """

    def __init__(self) -> None:
        self._frames: Counter[tuple[str, str, str]] = Counter()
        self._errors: Counter[tuple[str, str, str]] = Counter()
        self._took_buckets: Counter[tuple[str, str, float]] = Counter()
        self._took_sum_s: Counter[tuple[str, str]] = Counter()
        self._took_count: Counter[tuple[str, str]] = Counter()

    def __call__(self, record: WireRecord) -> None:
        """Count one record."""
        self._frames[record.direction, record.kind, record.action] += 1
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
            "ocpp_frames_total",
            "counter",
            "Frames by direction, type and action.",
            [({"direction": d, "type": k, "action": a}, n) for (d, k, a), n in sorted(self._frames.items())],
        )
        yield from family(
            "ocpp_errors_total",
            "counter",
            "Error answers by direction, action and code.",
            [({"direction": d, "action": a, "code": c}, n) for (d, a, c), n in sorted(self._errors.items())],
        )
        yield from family(
            "ocpp_repairs_total",
            "counter",
            "Repairs of what stations sent, by name.",
            [({"repair": name}, count) for name, count in sorted(mends.items())],
        )
        yield "# HELP ocpp_answer_seconds Time from a call to its answer, by who asked."
        yield "# TYPE ocpp_answer_seconds histogram"
        for (caller, action), count in sorted(self._took_count.items()):
            labels = {"caller": caller, "action": action}
            for bound_s in _BUCKETS_S:
                counted = self._took_buckets[caller, action, bound_s]
                yield sample("ocpp_answer_seconds_bucket", labels | {"le": f"{bound_s:g}"}, counted)
            yield sample("ocpp_answer_seconds_bucket", labels | {"le": "+Inf"}, count)
            yield sample("ocpp_answer_seconds_sum", labels, round(float(self._took_sum_s[caller, action]), 6))
            yield sample("ocpp_answer_seconds_count", labels, count)


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
