#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# builds: none
# timeout: 600
# scripts/quickstart.sh says what it promises, and leaves nothing behind but the data.
set -euo pipefail
cd "$MILLRACE_TREE"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "FAIL: $*"
	tail -n 60 "$work/out"
	exit 1
}

state() {
	ip netns list | cut -d' ' -f1 | grep '^millrace-qs-' || true
	ip -br link | cut -d' ' -f1 | grep -v '^lo' | sort
	cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages 2>/dev/null || true
	compgen -G '/run/millrace-q*' || true
}

before=$(state)
MILLRACE_DATA=$work/data scripts/quickstart.sh >"$work/out" 2>&1 </dev/null || fail "exit $?"
after=$(state)
[ "$before" = "$after" ] || fail "left behind: before '$before', after '$after'"
[ "$(tail -n 1 "$work/out")" = "data: $work/data" ] || fail "the last line is not 'data: DIRECTORY'"
grep -q "hello from logger" "$work/out" || fail "the event of logger is not shown"
for word in "hello from nc" "pa.ipc.open_stream" "import glob, pyarrow"; do
	grep -qF "$word" "$work/out" || fail "'$word' is not in its output"
done
events=$(sed -n 's/^\([0-9]*\) events: .*/\1/p' "$work/out")
# 20,000/s for ten seconds, less what a busy machine may lose.
[ "${events:-0}" -gt 100000 ] || fail "only ${events:-no} events were read back"
echo "$events events read back"
