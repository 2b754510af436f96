#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the test suites and counts what passed, failed and was skipped.

A suite is a directory tests/SUITE of programs *_test.sh and *_test.py; "unit" are the programs
that meson builds from tests/unit. A program exits 0 when it passed, 77 when it cannot run here
(the last line it prints is the reason), anything else when it failed. Lines at its head say more:

    # builds: test asan     run it on these builds, one result each (default: test, on no build in
                            lint)
    # timeout: 300          seconds after which it is killed and failed (default 120)
    # beside                it only computes: it runs beside the others, on the CPUs they leave
    # long                  only with --all

The others run one after the other and mostly wait. Beside them, with less claim to the CPUs, builds
are compiled in the order in which they are needed, and what is marked "beside" runs.
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

TREE = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77
LOG_TAIL = 40
LINE_MAX = 400
SUITES = ["lint", "unit", "smoke", "fault", "sinks", "cluster", "fuzz"]

BUILDS = {
    "test": ["-Dbuildtype=debugoptimized", "-Dwerror=true"],
    "asan": ["-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined"],
    "tsan": ["-Dbuildtype=debugoptimized", "-Db_sanitize=thread"],
    "clang": ["-Dbuildtype=plain", "-Dwerror=true"],
    "fuzz": ["-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined",
             "-Dc_args=-fsanitize=fuzzer-no-link"],
}

WITH_CLANG = ("clang", "fuzz")

# What the thread sanitizer can judge: threads of our own around our own atomics. It does not see
# into DPDK and the kernel's rings, where it would report their ways of ordering as races.
TSAN_UNIT = re.compile(r"^((common|wal|batching|http)/|lib/(client|handle|queue|spool|spooling)$|"
                       r"sinks/feed|control/loop)")


def tsan_targets(directory):
    """What the tests for the thread sanitizer are and use: half of the build."""
    info = json.loads((directory / "meson-info/intro-targets.json").read_text())
    files = {target["id"]: target["filename"][0] for target in info}
    return [os.path.relpath(files[needed], directory) for test in meson_tests(directory)
            if TSAN_UNIT.match(test["name"]) for needed in test["depends"]]


# Unit tests are not built by default; the fuzz build is for its own programs only.
NINJA_TARGETS = {"fuzz": lambda _: ["fuzz"], "tsan": tsan_targets}

SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"suppressions={TREE}/tests/lsan.supp:print_suppressions=0",
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions={TREE}/tests/tsan.supp",
}

LESS = 10  # nice value of what runs beside

Result = collections.namedtuple("Result", "name outcome seconds reason log")
Job = collections.namedtuple("Job", "build beside run")


def build_dir(build):
    return TREE / f"build-{build}"


class BuildFailed(Exception):
    pass


class Stopped(Exception):
    """The run was interrupted while a lane was at work."""


class Lane:
    """Runs one command after the other; its claim to the CPUs can be changed while one runs."""

    def __init__(self):
        self.lock = threading.Lock()
        self.process = None
        self.nice = 0
        self.stopped = False

    def start(self, command, **options):
        with self.lock:
            if self.stopped:
                raise Stopped()
            self.process = subprocess.Popen(command, start_new_session=True, **options)
            if self.nice:
                renice(self.process.pid, self.nice)
            return self.process

    def set_nice(self, nice):
        with self.lock:
            if self.process and self.process.poll() is None and nice != self.nice:
                renice(self.process.pid, nice)
            self.nice = nice

    def stop(self):
        """What runs is told to take down what it set up; nothing is started any more."""
        with self.lock:
            self.stopped = True
            if self.process and self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGTERM)

    def run_logged(self, command, log, env=None, timeout=None):
        """Exit code of a command whose output goes to a file; None when it ran out of time."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as out:
            process = self.start(command, cwd=TREE, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            # First the polite signal, by which a test takes its namespaces down.
            for sig, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
                os.killpg(process.pid, sig)
                try:
                    process.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    pass
            return None
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(15)
            raise
        if self.stopped:
            raise Stopped()
        return code


def renice(session, nice):
    """Where the kernel shares out CPUs by session first, nice values count only within one."""
    try:
        pathlib.Path(f"/proc/{session}/autogroup").write_text(str(nice))
    except OSError:
        pass
    try:
        os.setpriority(os.PRIO_PGRP, session, nice)
    except OSError:
        pass  # nobody but root can take it back


def tail(log):
    lines = log.read_text(errors="replace").splitlines()
    return [line[:LINE_MAX] for line in lines[-LOG_TAIL:]]


class Builder:
    """Configures and compiles builds in one lane, for which another may wait."""

    def __init__(self, lane, say):
        self.lane = lane
        self.say = say
        self.state = {}
        self.closed = False
        self.changed = threading.Condition()

    def provide(self, build):
        if build == "none" or build in self.state:
            return
        begin = time.monotonic()
        failed = self.make(build)
        word = "built" if failed is None else "FAILED to build"
        self.say(f"  {word} build-{build} ({time.monotonic() - begin:.0f} s)")
        with self.changed:
            self.state[build] = failed
            self.changed.notify_all()

    def need(self, build):
        """Waits until it is built, and gives the builder all CPUs meanwhile."""
        with self.changed:
            if build not in self.state and not self.closed:
                self.lane.set_nice(0)
                self.changed.wait_for(lambda: build in self.state or self.closed)
                self.lane.set_nice(LESS)
        failed = self.state.get(build, build_dir(build) / "runner-build.log")
        if failed is not None:
            raise BuildFailed(failed)
        return build_dir(build)

    def close(self):
        """Nobody waits for what will not come."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def make(self, build):
        directory = build_dir(build)
        log = directory / "runner-build.log"
        env = dict(os.environ, CC="clang-14" if build in WITH_CLANG else "gcc")
        configure = ["meson", "setup", str(directory), "-Dtests=enabled", *BUILDS[build]]
        if (directory / "build.ninja").exists():
            configure.append("--reconfigure")
        if self.lane.run_logged(configure, log, env) != 0:
            return log
        targets = NINJA_TARGETS.get(build, lambda _: ["all", "meson-test-prereq"])(directory)
        if self.lane.run_logged(["ninja", "-C", str(directory), *targets], log, env) != 0:
            return log
        return None


class Runner:
    def __init__(self, run_all):
        self.run_all = run_all
        self.say_lock = threading.Lock()
        self.front, self.back = Lane(), Lane()
        self.builder = Builder(self.back, self.say)
        self.expected = read_expected_skips(TREE / "tests/expected-skips")
        self.results = []

    def say(self, *lines):
        with self.say_lock:
            print("\n".join(lines), flush=True)

    def add(self, name, outcome, seconds=0.0, reason="", log=None):
        if outcome == "skipped" and name not in self.expected:
            outcome, reason = "failed", f"skip not in tests/expected-skips: {reason}"
        self.results.append(Result(name, outcome, seconds, reason, log))
        word = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}[outcome]
        lines = [f"  {word:5} {name} ({seconds:.1f} s){': ' + reason if reason else ''}"]
        if outcome == "failed" and log is not None and log.exists():
            lines.append(f"        the end of {log.relative_to(TREE)}:")
            lines += ["        | " + line for line in tail(log)]
        self.say(*lines)

    def run(self, chosen):
        jobs = [job for suite, wanted in chosen.items() for job in self.jobs(suite, wanted)]
        jobs.sort(key=lambda job: ["none", *BUILDS].index(job.build))
        front = [job for job in jobs if not job.beside]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            self.back.set_nice(LESS)
            back = pool.submit(self.run_beside, front, [job for job in jobs if job.beside])
            try:
                for job in front:
                    job.run(self.front)
                self.back.set_nice(0)
                back.result()
            except BaseException:
                self.front.stop()
                self.back.stop()
                raise

    def run_beside(self, front, jobs):
        try:
            for job in front:
                self.builder.provide(job.build)
            for job in jobs:
                self.builder.provide(job.build)
                job.run(self.back)
        finally:
            self.builder.close()

    def jobs(self, suite, wanted):
        if suite != "unit":
            yield from self.programs(suite, wanted)
            return
        for build in ("test", "asan", "tsan"):
            yield Job(build, False, functools.partial(self.unit, build, wanted))

    def unit(self, build, wanted, lane):
        try:
            directory = self.builder.need(build)
        except BuildFailed as failed:
            self.add(f"unit/build-{build}", "failed", log=failed.args[0])
            return
        self.unit_on(build, directory, wanted, lane)

    def unit_on(self, build, directory, wanted, lane):
        prefix = "unit/" if build == "test" else f"unit/{build}:"
        names = [test["name"] for test in meson_tests(directory)]
        if build == "tsan":
            names = [n for n in names if TSAN_UNIT.match(n)]
        if wanted:
            names = [n for n in names if n in wanted]
        if not names:
            return
        env = dict(os.environ, **SANITIZER_ENV)
        log = directory / "runner-unit.log"
        lane.run_logged(["meson", "test", "-C", str(directory), "--no-rebuild", "--suite", "unit",
                         "--num-processes", str(os.cpu_count() or 1), *names], log, env)
        done = set()
        for row in meson_results(directory):
            done.add(row["name"])
            outcome = {"OK": "passed", "SKIP": "skipped"}.get(row["result"], "failed")
            own_log = directory / "unit-logs" / (row["name"].replace("/", "_") + ".log")
            own_log.parent.mkdir(exist_ok=True)
            own_log.write_text(row.get("stdout", "") + row.get("stderr", ""))
            last = ([""] + row.get("stdout", "").split("\n"))[-1]
            self.add(prefix + row["name"], outcome, row["duration"],
                     last if outcome == "skipped" else "", own_log)
        for name in names:
            if name not in done:
                self.add(prefix + name, "failed", reason="was not run", log=log)

    def programs(self, suite, wanted):
        files = sorted((TREE / "tests" / suite).glob("*_test.*"))
        for path in files:
            name = path.name.split("_test.")[0]
            if path.suffix not in (".sh", ".py") or (wanted and name not in wanted):
                continue
            head = read_head(path)
            if "long" in head and not self.run_all and name not in wanted:
                continue
            default = "none" if suite == "lint" else "test"
            for build in head.get("builds", default).split():
                yield Job(build, "beside" in head, functools.partial(
                    self.program, suite, name, path, head, build))

    def program(self, suite, name, path, head, build, lane):
        label = f"{suite}/{name}" if build in ("test", "none", suite) else f"{suite}/{build}:{name}"
        env = dict(os.environ, MILLRACE_TREE=str(TREE), MILLRACE_ALL="1" if self.run_all else "",
                   PYTHONPATH=str(TREE / "tests/lib"), PYTHONDONTWRITEBYTECODE="1")
        logs = TREE / "build-test"
        if build != "none":
            try:
                logs = self.builder.need(build)
            except BuildFailed as failed:
                self.add(label, "failed", reason=f"build-{build} failed", log=failed.args[0])
                return
            env.update(SANITIZER_ENV, MILLRACE_BUILD=str(logs))
        python = TREE / ".venv/bin/python"
        shell = {".sh": "bash", ".py": str(python if python.exists() else sys.executable)}
        log = logs / f"{suite}-logs" / f"{name}.log"
        begin = time.monotonic()
        timeout = int(head.get("timeout", 120)) * (10 if self.run_all else 1)
        code = lane.run_logged([shell[path.suffix], str(path)], log, env, timeout)
        seconds = time.monotonic() - begin
        if code == 0:
            self.add(label, "passed", seconds)
        elif code == SKIPPED:
            self.add(label, "skipped", seconds, (tail(log) or ["no reason given"])[-1])
        elif code is None:
            self.add(label, "failed", seconds, f"ran out of its {timeout} s", log)
        else:
            self.add(label, "failed", seconds, f"exit {code}", log)


def read_head(path):
    """The comment lines "# key: value" or "# key" that stand before the first line of code."""
    head = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        match = re.match(r"# (builds|timeout|beside|long)(?:: (.*))?$", line)
        if match:
            head[match[1]] = match[2] or ""
    return head


def read_expected_skips(path):
    lines = [line.strip() for line in path.read_text().splitlines()] if path.exists() else []
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


def meson_tests(directory):
    tests = json.loads((directory / "meson-info/intro-tests.json").read_text())
    return [test for test in tests if any("unit" in suite for suite in test["suite"])]


def meson_results(directory):
    path = directory / "meson-logs/testlog.json"
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/test.sh", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE",
                        help="a suite, or one of its tests: smoke/vlan (default: every suite)")
    parser.add_argument("--all", action="store_true", help="the long tests too")
    return parser.parse_args()


def choose(words):
    """{suite: tests wanted of it, empty for all}"""
    present = SUITES + sorted(
        p.name for p in (TREE / "tests").iterdir()
        if p.is_dir() and p.name not in SUITES and list(p.glob("*_test.*")))
    chosen = {}
    for word in words or present:
        suite, _, test = word.partition("/")
        if suite not in present:
            sys.exit(f"test.sh: no suite {suite}; there are: {' '.join(present)}")
        chosen.setdefault(suite, [])
        if test:
            chosen[suite].append(test)
    return chosen


def report(results, seconds):
    for result in results:
        if result.outcome == "failed":
            print(f"failed: {result.name} {result.reason}".rstrip())
    total = collections.Counter()
    for suite in dict.fromkeys(result.name.split("/")[0] for result in results):
        own = [result for result in results if result.name.startswith(suite + "/")]
        count = collections.Counter(result.outcome for result in own)
        print(f"{suite}: {count['passed']} passed, {count['failed']} failed, "
              f"{count['skipped']} skipped, {sum(result.seconds for result in own):.0f} s of tests")
        total += count
    print(f"{seconds:.0f} s in all")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 0 if total["passed"] > 0 and total["failed"] == 0 else 1


def main():
    args = arguments()
    runner = Runner(args.all)
    begin = time.monotonic()
    runner.run(choose(args.suites))
    return report(runner.results, time.monotonic() - begin)


if __name__ == "__main__":
    # SIGTERM unwinds like ^C, so that a running test is told to take down what it set up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
