#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Spelling, by .codespellrc.
set -euo pipefail
cd "$MILLRACE_TREE"
git ls-files -z -- ':!subprojects' ':!*.arrows' ':!tests/fuzz/corpus' ':!LICENSE' | xargs -0 codespell
