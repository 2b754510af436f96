#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: none
# timeout: 900
"""Each protection named in tests/mutants is left out of a build, and the test named with it fails.

Lines of tests/mutants: `mutant test`, the test being a unit test (wal/recover), the crash model
(sim/crash), a fuzz target whose kept corpus must crash it (fuzz/segment), or a program (smoke/vlan,
fault/kill). The last are tried with --all only.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

TREE = pathlib.Path(os.environ["MILLRACE_TREE"])
RUN_ALL = bool(os.environ.get("MILLRACE_ALL"))
BUILD = TREE / "build-mutant"
FUZZ_BUILD = TREE / "build-mutant-fuzz"
FUZZ_OPTIONS = ["-Db_sanitize=address,undefined", "-Dc_args=-fsanitize=fuzzer-no-link"]
PROGRAM_SUITES = ("smoke", "fault", "nic")
SIM_SEEDS = 2000


def read_mutants():
    for line in (TREE / "tests/mutants").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            yield line.split()


def chosen(mutants):
    """All with --all, else those that a unit test must catch."""
    for name, test in mutants:
        if RUN_ALL or test.split("/")[0] not in PROGRAM_SUITES:
            yield name, test


def run(*command, timeout=None, env=None):
    return subprocess.run([str(word) for word in command], cwd=TREE, capture_output=True, text=True,
                          timeout=timeout, env=env)


def configure(mutant, fuzz):
    build, options = (FUZZ_BUILD, FUZZ_OPTIONS) if fuzz else (BUILD, [])
    command = ["meson", "setup", build, "-Dbuildtype=plain", "-Dtests=enabled",
               f"-Dmutant={mutant}", *options]
    if (build / "build.ninja").exists():
        command.append("--reconfigure")
    return run(*command, env=dict(os.environ, CC="clang-14" if fuzz else "gcc"))


def guards(mutant):
    """Whether some source really leaves something out for this mutant."""
    return run("git", "grep", "-qE", rf"\bMUTANT_{re.escape(mutant.upper())}\b", "--", "*.c",
               "*.h").returncode == 0


def unit_fails(test):
    """None when the unit test fails, as it must; else what is wrong."""
    done = run("meson", "test", "-C", BUILD, "--suite", "unit", test, timeout=300)
    if done.returncode == 125:
        return f"does not build:\n{done.stdout[-2000:]}"
    if re.search(r"^Fail: +[1-9]|^Timeout: +[1-9]", done.stdout, re.M):
        return None
    return f"survived {test}:\n{done.stdout[-1000:]}"


def sim_fails(test):
    program = f"tests/{test}"
    if (TREE / program).is_dir():
        program += "/" + test.split("/")[1]
    if run("ninja", "-C", BUILD, program).returncode != 0:
        return "does not build"
    done = run(BUILD / program, "--seeds", SIM_SEEDS, timeout=300)
    return None if done.returncode == 1 else f"survived {SIM_SEEDS} seeds of {test}"


def corpus_fails(test):
    target = test.split("/")[1]
    program = f"tests/fuzz/{target}_fuzz"
    if run("ninja", "-C", FUZZ_BUILD, program).returncode != 0:
        return "does not build"
    done = run(FUZZ_BUILD / program, "-runs=0", f"-artifact_prefix={FUZZ_BUILD}/",
               TREE / "tests/fuzz/corpus" / target, timeout=300)
    return None if done.returncode != 0 else f"survived the corpus of {test}"


def program_fails(test):
    if run("ninja", "-C", BUILD).returncode != 0:
        return "does not build"
    suite, name = test.split("/")
    path = next((TREE / "tests" / suite).glob(f"{name}_test.*"))
    shell = sys.executable if path.suffix == ".py" else "bash"
    env = dict(os.environ, MILLRACE_BUILD=str(BUILD), MILLRACE_ALL="")
    return None if run(shell, path, timeout=900, env=env).returncode not in (0, 77) \
        else f"survived {test}"


def try_mutant(name, test):
    if not guards(name):
        return f"no source leaves anything out for MUTANT_{name.upper()}"
    suite = test.split("/")[0]
    configured = configure(name, suite == "fuzz")
    if configured.returncode != 0:
        return f"does not configure: {configured.stdout[-1000:]}"
    judges = {"sim": sim_fails, "fuzz": corpus_fails, **dict.fromkeys(PROGRAM_SUITES, program_fails)}
    return judges.get(suite, unit_fails)(test)


def main():
    bad = 0
    for name, test in chosen(list(read_mutants())):
        begin = time.monotonic()
        problem = try_mutant(name, test)
        print(f"{'ok  ' if problem is None else 'FAIL'} {name} {test} "
              f"({time.monotonic() - begin:.0f} s){': ' + problem if problem else ''}", flush=True)
        bad += problem is not None
    return 1 if bad else 0


sys.exit(main())
