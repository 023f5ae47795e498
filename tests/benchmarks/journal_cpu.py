"""The share of the CPU that a journal costs a real process: `loadmgr run` with and without one, in turns.

Run by hand, on a quiet machine: python tests/benchmarks/journal_cpu.py [PAIRS]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loadmgr.apps.process.local_control import ask_local

EVSES, PORT, TICKS_PER_S = 25, 9581, 100
WARM_S, MEASURED_S = 25.0, 60.0

SITE = """\
schema: loadmgr/v1
site: {{name: Park, timezone: Europe/Berlin}}
circuits: [{{id: main, fuse: 200A, evses: [P1..P{count}]}}]
evse_defaults: {{max: 32A}}
evses:
{evses}
station_defaults: {{keeps_profiles: yes, zero_ok: yes}}
failsafe: {{strategy: zero, lease: 2h}}
timing: {{reaction_time: 60s, settle: 10s, meter_interval: 2s, call_timeout: 20s, clock_skew: 10s}}
listen: {{host: 127.0.0.1, port: {port}}}
tariff: {{energy: {{price: 0.30/kWh}}}}
"""


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def ms_per_message(folder: Path, *options: str) -> float:
    """Return the CPU time for each message of a process with EVSES stations that measure every two seconds [ms]."""
    socket = folder / "s"
    loadmgr = [sys.executable, "-m", "loadmgr"]
    site, url = str(folder / "park.yaml"), f"ws://127.0.0.1:{PORT}/ocpp"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*loadmgr, "run", site, "--quiet", "--socket", str(socket), *options], **quiet)
    time.sleep(5.0)
    each = ["--count", str(EVSES), "--meter-interval", "2", "--plug-after", "3", "--quiet"]
    stations = subprocess.Popen([*loadmgr, "station", url, "--id", "CS", *each], **quiet)
    try:
        time.sleep(WARM_S)
        messages, spent_s = ask_local(socket, {"do": "status"})["messages"]["in"], cpu_s(process.pid)
        time.sleep(MEASURED_S)
        messages = ask_local(socket, {"do": "status"})["messages"]["in"] - messages
        return 1000.0 * (cpu_s(process.pid) - spent_s) / messages
    finally:
        stations.kill()
        process.terminate()
        process.wait(30)


def main() -> None:
    """Print pairs, and what they come to."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        evses = "\n".join(f"  - {{id: P{i}, station: CS{i}}}" for i in range(1, EVSES + 1))
        (folder / "park.yaml").write_text(SITE.format(count=EVSES, evses=evses, port=PORT))
        without, with_journal = 0.0, 0.0
        for _ in range(pairs):
            a = ms_per_message(folder, "--no-journal")
            b = ms_per_message(folder, "--journal", str(folder / "journal"))
            print(f"{a:.3f} ms a message without a journal, {b:.3f} with one: {100 * (b - a) / b:+.0f} %", flush=True)
            without, with_journal = without + a, with_journal + b
        print(f"{100 * (with_journal - without) / with_journal:+.0f} % of the CPU over {pairs} pairs")


if __name__ == "__main__":
    main()
