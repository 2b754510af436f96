#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Shell scripts: shellcheck has nothing to say.
set -euo pipefail
cd "$MILLRACE_TREE"
git ls-files -z -- '*.sh' .ci/run | xargs -0 shellcheck -x
