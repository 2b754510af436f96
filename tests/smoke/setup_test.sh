#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# builds: none
# scripts/setup.sh on a sysfs of its own: two NUMA nodes with 10 pages of 2 MiB each, 4 of node 1 in
# use.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MILLRACE_SETUP_SYS=$work/sys MILLRACE_SETUP_PROC=$work/proc MILLRACE_SETUP_STATE=$work/state
setup=$MILLRACE_TREE/scripts/setup.sh

fail() {
	echo "FAIL: $*"
	exit 1
}

pool() {
	echo "$work/sys/devices/system/node/node$1/hugepages/hugepages-2048kB"
}

expect_exit() {
	local want=$1 got=0
	shift
	"$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" = "$want" ] || fail "exit $got instead of $want: $* ($(<"$work/err"))"
}

expect_pools() {
	[ "$(cat "$(pool 0)/nr_hugepages" "$(pool 1)/nr_hugepages" | tr '\n' ' ')" = "$1 $2 " ] ||
		fail "pools are not $1 $2 but $(cat "$(pool 0)/nr_hugepages" "$(pool 1)/nr_hugepages")"
}

mkdir -p "$(pool 0)" "$(pool 1)" "$work/proc"
printf 'MemFree: 1048576 kB\nHugepagesize: 2048 kB\n' >"$work/proc/meminfo"
: >"$work/proc/mounts"
echo 10 | tee "$(pool 0)/nr_hugepages" "$(pool 0)/free_hugepages" "$(pool 1)/nr_hugepages" >/dev/null
echo 6 >"$(pool 1)/free_hugepages"

echo "status is JSON with both pools"
expect_exit 0 "$setup" --json status
jq -e '.schema == "millrace.setup/1" and (.data.pools | length) == 2 and .data.pools[1].free == 6' \
	"$work/out" >/dev/null || fail "status: $(<"$work/out")"

echo "a dry run changes nothing"
expect_exit 0 "$setup" --dry-run hugepages 64
expect_pools 10 10
[ ! -e "$work/state" ] || fail "a dry run left its mark"

echo "pages are shared between the nodes, and a second run changes nothing"
expect_exit 0 "$setup" hugepages 33
expect_pools 17 16
expect_exit 0 "$setup" hugepages 33
expect_pools 17 16

echo "one node alone"
expect_exit 0 "$setup" hugepages 20 --node 0 --size 2M
expect_pools 20 16

echo "fewer than are in use is refused"
expect_exit 5 "$setup" hugepages 2 --node 1
expect_pools 20 16

echo "what is to last is written for each boot, and taken back by restore"
export MILLRACE_SETUP_ETC=$work/etc
expect_exit 0 "$setup" --dry-run hugepages 20 --node 0 --persist
[ ! -e "$work/etc" ] || fail "a dry run wrote what is to last"
expect_exit 0 "$setup" hugepages 20 --node 0 --persist
expect_exit 0 "$setup" hugepages 16 --node 1 --persist
expect_exit 0 "$setup" hugepages 16 --node 1 --persist
lasting=$work/etc/tmpfiles.d/millrace-hugepages.conf
grep -qx "w $(pool 0)/nr_hugepages - - - - 20" "$lasting" || fail "for each boot: $(<"$lasting")"
[ "$(grep -c '^w ' "$lasting")" = 2 ] || fail "for each boot: $(<"$lasting")"
if command -v systemd-tmpfiles >/dev/null; then
	echo 3 >"$(pool 0)/nr_hugepages"
	systemd-tmpfiles --create "$lasting"
	[ "$(<"$(pool 0)/nr_hugepages")" = 20 ] || fail "systemd-tmpfiles did not take it"
fi

echo "restore gives back what was before the first change, once"
expect_exit 0 "$setup" restore
expect_pools 10 10
[ ! -e "$work/etc/tmpfiles.d/millrace-hugepages.conf" ] || fail "restore left what lasts"
echo 12 >"$(pool 0)/nr_hugepages"
expect_exit 0 "$setup" restore
expect_pools 12 10
[ ! -e "$work/state" ] || fail "restore left its state"

echo "usage errors are usage errors"
for args in "" "hugepages" "hugepages -1" "hugepages ten" "hugepages 1 2" "status --size 3M"; do
	# shellcheck disable=SC2086
	expect_exit 2 "$setup" $args
done
expect_exit 1 "$setup" hugepages 1 --size 1G
expect_exit 1 "$setup" hugepages 1 --node 7

echo "a shortfall is explained with the command that mends it"
cat >"$work/stingy.sh" <<STINGY
source "$setup"
set_pool() { echo 3 >"\$1/nr_hugepages"; }
main "\$@"
STINGY
expect_exit 1 bash "$work/stingy.sh" --json hugepages 100 --node 0
grep -q "fragmented" "$work/err" || fail "no cause: $(<"$work/err")"
jq -e '.warnings[0].code == "hugepages_short" and (.warnings[0].mend | contains("compact_memory"))
	and .data.reserved == 3' "$work/out" >/dev/null || fail "shortfall: $(<"$work/out")"
expect_exit 1 bash "$work/stingy.sh" hugepages 9999 --node 0
grep -q "only 1024 MiB are free" "$work/err" || fail "no cause: $(<"$work/err")"
