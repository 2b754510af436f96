#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The C code is as .clang-format says.
set -euo pipefail
cd "$MILLRACE_TREE"
git ls-files -z -- '*.c' '*.h' ':!subprojects' | xargs -0 clang-format-14 --dry-run -Werror
