#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes bench/out/report.json, a table, bars and plots out of the rows that the cases left.

  report.py [--case CASE…]     without a case: all that the report holds
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

OUT = pathlib.Path(__file__).resolve().parent / "out"
BAR = 40


def read_rows():
    """Rows of this run take the place of older ones of the same case."""
    new = []
    path = OUT / "rows.jsonl"
    if path.exists():
        new = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    try:
        old = json.loads((OUT / "report.json").read_text(encoding="utf-8"))["rows"]
    except (FileNotFoundError, ValueError, KeyError):
        old = []
    cases = {row["case"] for row in new}
    return [row for row in old if row["case"] not in cases] + new


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write_report(rows):
    report = {
        "schema": "millrace.bench/1",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "cpu": cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "rows": rows,
    }
    (OUT / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def number(value):
    if value is None:
        return "-"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def print_table(rows):
    head = ("case", "metric", "value", "unit", "reference", "ratio")
    lines = [[row["case"], row["metric"], number(row["value"]), row["unit"],
              number(row["reference"]), number(row["ratio"])] for row in rows]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    for line in [head, *lines]:
        print("  ".join(text.rjust(width) if i in (2, 4, 5) else text.ljust(width)
                        for i, (text, width) in enumerate(zip(line, widths))).rstrip())


def print_bars(rows):
    """Every figure that has a reference, against it."""
    rows = [row for row in rows if row["ratio"] is not None]
    if not rows:
        return
    width = max(len(f"{row['case']} {row['metric']}") for row in rows)
    longest = max(1.0, *(row["ratio"] for row in rows))
    print("\nratio to the reference (| marks 1)")
    for row in rows:
        bar = ["#"] * round(row["ratio"] / longest * BAR)
        bar += [" "] * (BAR - len(bar))
        bar[min(BAR - 1, round(BAR / longest) - 1)] = "|"
        print(f"{row['case']} {row['metric']}".ljust(width), "".join(bar), f"{row['ratio']:.3f}")


def kept_series(rows):
    """{receiver: [(rate, kept / offered)]} of the case 'peers'."""
    series = {}
    for row in rows:
        match = re.fullmatch(r"(.+)@(\d+)_kept", row["metric"])
        if row["case"] == "peers" and match:
            series.setdefault(match[1], []).append((int(match[2]), row["ratio"]))
    return {name: sorted(points) for name, points in series.items()}


def plot_ratios(rows):
    rows = [row for row in rows if row["ratio"] is not None and "@" not in row["metric"]]
    data = "\n".join(f'"{row["case"]} {row["metric"]}" {row["ratio"]}' for row in rows)
    return f"""
set title "ratio to the reference"
set style data histogram
set style fill solid 0.6
set xtics rotate by -35 noenhanced
set yrange [0:*]
set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead dashtype 2
unset key
$ratios << END
{data}
END
plot $ratios using 2:xtic(1) linecolor rgb "#4060a0"
unset arrow 1
""" if rows else ""


STAGES = ("rx", "parse", "append", "close", "compress", "crc", "submit", "free", "wait", "other")


def stage_series(rows):
    """{case and what of it: {stage: cycles an event}}, but for those that are far above the rest:
    they would hide it."""
    series = {}
    for row in rows:
        match = re.fullmatch(r"(.*)cycles_(" + "|".join(STAGES) + ")", row["metric"])
        if match:
            name = f"{row['case']} {match[1].replace('_', ' ')}".strip()
            series.setdefault(name, {})[match[2]] = row["value"]
    return {name: stages for name, stages in series.items() if sum(stages.values()) < 1000}


def plot_stages(series):
    if not series:
        return ""
    data = "\n".join(f'"{name}" ' + " ".join(str(stages.get(stage, 0)) for stage in STAGES)
                     for name, stages in series.items())
    plots = ", ".join(f'{"$stages" if i == 0 else chr(39) * 2} using {i + 2}'
                      f'{":xtic(1)" if i == 0 else ""} title "{stage}"'
                      for i, stage in enumerate(STAGES))
    return f"""
$stages << END
{data}
END
set title "TSC cycles an event, by stage"
set style data histogram
set style histogram rowstacked
set style fill solid 0.7
set boxwidth 0.7
set xtics rotate by -20 noenhanced
set yrange [0:*]
set key outside right invert
plot {plots}
set style histogram clustered
set key default
set boxwidth
"""


def plot_kept(series):
    if not series:
        return ""
    blocks = "".join(f"$kept{i} << END\n" + "\n".join(f"{x} {y}" for x, y in points) + "\nEND\n"
                     for i, points in enumerate(series.values()))
    plots = ", ".join(f'$kept{i} with linespoints title "{name}" noenhanced'
                      for i, name in enumerate(series))
    return f"""
{blocks}
set title "part of the events that is kept, one veth pair"
set xlabel "offered, events/s"
set logscale x
set format x "%.0s%c"
set xtics norotate
set yrange [0:1.05]
set key bottom left
plot {plots}
"""


def draw(rows):
    """report.svg and report.png, with gnuplot where it is."""
    if shutil.which("gnuplot") is None:
        print("gnuplot is not installed: no plot", file=sys.stderr)
        return
    parts = [part for part in (plot_ratios(rows), plot_stages(stage_series(rows)),
                               plot_kept(kept_series(rows))) if part]
    if not parts:
        return
    for terminal, suffix in (("svg size 1000,{h} background 'white'", "svg"),
                             ("pngcairo size 1000,{h}", "png")):
        script = (f"set terminal {terminal.format(h=520 * len(parts))}\n"
                  f"set output '{OUT}/report.{suffix}'\n"
                  f"set bmargin 9\nset multiplot layout {len(parts)},1\n" + "".join(parts))
        subprocess.run(["gnuplot", "-"], input=script, text=True, check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", action="append", help="show this case only")
    args = parser.parse_args()
    rows = read_rows()
    if not rows:
        print("no rows: no case was run", file=sys.stderr)
        return 1
    write_report(rows)
    (OUT / "rows.jsonl").unlink(missing_ok=True)
    shown = [row for row in rows if not args.case or row["case"] in args.case]
    print_table(shown)
    print_bars(shown)
    draw(rows)
    print(f"\n{OUT}/report.json")
    return 0


sys.exit(main())
