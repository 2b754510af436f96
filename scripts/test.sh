#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what the tests need and runs them: scripts/test.sh [SUITE…] [--all]; tests/run.py --help.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh test
exec python3 tests/run.py "$@"
