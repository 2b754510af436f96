#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Puts nanoarrow's C sources (Arrow IPC) and flatcc's runtime, the oracle of the format tests, into
# subprojects/nanoarrow. They come out of nanoarrow's Python source package. Quick when they are
# there.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.9.0
sha256=1ce15bbed8532839347faa78824c5dbd3769bff60661003e34c6fba5dd881bd3
stamp=subprojects/nanoarrow/.fetched-$version

if [ -e "$stamp" ]; then
	cp -r subprojects/packagefiles/nanoarrow subprojects/
	exit 0
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Before it hands a source package over, pip has its build tool, meson-python, tell the package's
# name, which that one knows only when it has compiled all of it: a minute and a half. This tells it
# at once.
python3 -m venv "$tmp/venv"
cat >"$(echo "$tmp"/venv/lib/python3*/site-packages)/mesonpy.py" <<END
import pathlib


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    info = pathlib.Path(directory, "nanoarrow-$version.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: nanoarrow\\nVersion: $version\\n")
    return info.name
END
"$tmp/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	--no-binary :all: --dest "$tmp" "nanoarrow==$version"

echo "$sha256  $tmp/nanoarrow-$version.tar.gz" | sha256sum --check --quiet
tar -xzf "$tmp/nanoarrow-$version.tar.gz" -C "$tmp"

rm -rf subprojects/nanoarrow
cp -r subprojects/packagefiles/nanoarrow subprojects/
mv "$tmp/nanoarrow-$version/subprojects/arrow-nanoarrow" subprojects/nanoarrow/
mv "$tmp/nanoarrow-$version"/subprojects/flatcc-*/ subprojects/nanoarrow/flatcc
: >"$stamp"
