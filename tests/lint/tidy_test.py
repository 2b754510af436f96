#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: clang
# timeout: 1800
# beside
"""clang-tidy, by .clang-tidy, on every C file that build-clang compiles.

A file that was clean is not looked at again before it, a header or .clang-tidy changes.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

TREE = pathlib.Path(os.environ["MILLRACE_TREE"])
BUILD = pathlib.Path(os.environ["MILLRACE_BUILD"])
STAMPS = BUILD / "tidy"


def sources():
    """The files, each with one command in a database of our own: in the build's, clang-tidy would
    look at a file as often as it is compiled, with flags that differ in nothing it sees."""
    once = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        relative = path.relative_to(TREE.resolve())
        if path.suffix == ".c" and relative.parts[0] != "subprojects":
            once.setdefault(relative, entry)
    (STAMPS / "compile_commands.json").write_text(json.dumps(list(once.values())))
    return sorted(once)


def shared_digest():
    out = subprocess.run(["git", "ls-files", "-z", "--", "*.h", "*.def", ".clang-tidy", "meson.build"],
                         cwd=TREE, check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256()
    for name in sorted(filter(None, out.split("\0"))):
        digest.update(name.encode() + (TREE / name).read_bytes())
    return digest


def tidy(path, digest):
    digest.update(str(path).encode() + (TREE / path).read_bytes())
    stamp = STAMPS / digest.hexdigest()
    if stamp.exists():
        return None
    run = subprocess.run(
        ["clang-tidy-14", "--quiet", "-p", str(STAMPS), "--warnings-as-errors=*", str(path)],
        cwd=TREE, capture_output=True, text=True)
    if run.returncode == 0:
        stamp.touch()
        return None
    return run.stdout + run.stderr


def main():
    STAMPS.mkdir(exist_ok=True)
    shared = shared_digest()
    files = sources()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda path: tidy(path, shared.copy()), files))
    for text in filter(None, said):
        print(text)
    print(f"{len(files)} files, {sum(1 for text in said if text)} with findings")
    return 1 if any(said) or not files else 0


sys.exit(main())
