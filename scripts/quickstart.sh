#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Millrace in one command: install, build, receive real UDP events for ten seconds, read them back.
# Leaves nothing behind but the data. MILLRACE_DATA=DIRECTORY chooses where that goes.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=10
rate=20000
size=200
pages=128 # of 2 MiB: packet buffers and blocks of one partition, twice over
sender=10.77.1.1
receiver=10.77.1.2
port=5140

data=${MILLRACE_DATA:-/var/tmp/millrace-quickstart/$(date -u +%Y%m%dT%H%M%S)-$$}
build=build
tx=millrace-qs-$$-tx
rx=millrace-qs-$$-rx
work=
daemon=
# setup.sh keeps here what was there before this run, apart from what a user keeps by it.
export MILLRACE_SETUP_STATE=/run/millrace-quickstart-$$

step() {
	printf '\n== %s\n' "$*"
}

die() {
	echo "quickstart.sh: $*" >&2
	[ -z "$work" ] || [ ! -s "$work/millraced.log" ] || tail -n 20 "$work/millraced.log" >&2
	exit 1
}

clean_up() {
	local name
	if [ -n "$daemon" ]; then
		kill "$daemon" 2>/dev/null || true
		wait "$daemon" 2>/dev/null || true
	fi
	for name in "$tx" "$rx"; do
		[ ! -e "/run/netns/$name" ] || ip netns del "$name"
	done
	[ ! -d "$MILLRACE_SETUP_STATE" ] || scripts/setup.sh restore >/dev/null || true
	[ -z "$work" ] || rm -rf "$work"
}

build_it() {
	local log=$work/build.log
	[ -f "$build/build.ninja" ] ||
		meson setup "$build" --buildtype=release -Dtests=disabled >"$log" 2>&1 ||
		{ tail -n 30 "$log" >&2 && exit 1; }
	ninja -C "$build" dataplane/millraced cli/millrace >"$log" 2>&1 ||
		{ tail -n 30 "$log" >&2 && exit 1; }
	echo "$build/dataplane/millraced and $build/cli/millrace"
}

# Sets hugepages to true or false.
reserve_hugepages() {
	local pool=/sys/kernel/mm/hugepages/hugepages-2048kB total free
	hugepages=false
	if [ ! -d "$pool" ]; then
		echo "this kernel has no hugepages of 2 MiB: goes on without (memory.hugepages: false)"
		return
	fi
	total=$(<"$pool/nr_hugepages")
	free=$(<"$pool/free_hugepages")
	if ((free >= pages)); then
		echo "$free hugepages of 2 MiB are free: enough"
	elif ! scripts/setup.sh hugepages $((total - free + pages)) --size 2M; then
		echo "not enough hugepages: goes on without (memory.hugepages: false)"
		return
	fi
	hugepages=true
}

# Two namespaces and a cable. The receiver's has no address and no route: its kernel keeps quiet,
# and millraced alone answers for $receiver.
make_network() {
	local name
	ip netns add "$tx"
	ip netns add "$rx"
	for name in "$tx" "$rx"; do
		ip netns exec "$name" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	done
	ip -n "$tx" link add veth0 type veth peer name veth1 netns "$rx"
	# A veth pair never fills in UDP checksums that the kernel leaves to the device.
	ip netns exec "$tx" ethtool -K veth0 tx off >/dev/null
	ip -n "$tx" addr add "$sender/24" dev veth0
	ip -n "$tx" link set veth0 up
	ip -n "$rx" link set veth1 up
	echo "namespace $tx: veth0, $sender; namespace $rx: veth1, millraced as $receiver"
}

write_config() {
	cat >"$work/millraced.yaml" <<-CONFIG
	receiver: quickstart
	data: $data
	socket: $work/millraced.sock
	memory:
	  hugepages: $hugepages
	ports:
	  - name: wire
	    device: veth1
	    addresses: ["$receiver/24"]
	listeners:
	  - name: quickstart
	    port: $port
	log:
	  segment_size: 256MiB
	CONFIG
	"$build/cli/millrace" config check "$work/millraced.yaml"
}

millrace() {
	"$build/cli/millrace" --socket "$work/millraced.sock" "$@"
}

start_receiver() {
	local tries
	ip netns exec "$rx" "$build/dataplane/millraced" -c "$work/millraced.yaml" \
		>"$work/millraced.log" 2>&1 &
	daemon=$!
	for ((tries = 0; tries < 300; tries++)); do
		kill -0 "$daemon" 2>/dev/null || die "millraced did not start"
		if millrace status >/dev/null 2>&1; then
			millrace ports
			return
		fi
		sleep 0.1
	done
	die "millraced was not ready within 30 s"
}

send_by_hand() {
	ip netns exec "$tx" logger -n "$receiver" -P "$port" -d "hello from logger"
	echo "hello from nc" | ip netns exec "$tx" nc -u -q 0 "$receiver" "$port"
	echo "logger -n $receiver -P $port -d 'hello from logger'"
	echo "echo 'hello from nc' | nc -u -q 0 $receiver $port"
}

send_and_watch() {
	local load=0
	echo "millrace send $receiver:$port --rate $rate --size $size --duration ${seconds}s"
	ip netns exec "$tx" "$build/cli/millrace" send "$receiver:$port" --rate "$rate" \
		--size "$size" --duration "${seconds}s" >"$work/send.txt" 2>"$work/send.err" &
	load=$!
	# Exit code 124 is timeout's own, 130 what top says of the interrupt that ends it.
	timeout --foreground -s INT "$seconds" "$build/cli/millrace" \
		--socket "$work/millraced.sock" top -d 1s || [ $? = 124 ] || [ $? = 130 ] || true
	wait "$load" || die "millrace send: $(<"$work/send.err")"
	cat "$work/send.txt" "$work/send.err"
}

stop_receiver() {
	local name
	millrace status || true
	kill -TERM "$daemon"
	wait "$daemon" || die "millraced ended with $?"
	daemon=
	for name in "$tx" "$rx"; do
		ip netns del "$name"
	done
	echo "stopped"
}

read_back() {
	local script
	script=$(cat <<-PYTHON
	import glob, pyarrow as pa
	log = pa.concat_tables(pa.ipc.open_stream(pa.memory_map(f)).read_all() for f in sorted(glob.glob("$data/*/[0-9]*.arrows")))
	print(log.num_rows, "events:", log["payload"].slice(0, 2).to_pylist(), "…")
	PYTHON
	)
	printf '%s\n\n' "$script"
	.venv/bin/python -c "$script"
}

main() {
	[ "$(id -u)" = 0 ] || die "needs root: hugepages and network namespaces"
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	work=$(mktemp -d /run/millrace-qs-XXXXXX)
	step "Packages"
	scripts/deps.sh demo
	echo "all there"
	step "Build"
	build_it
	step "Hugepages"
	reserve_hugepages
	step "Network"
	make_network
	step "Receiver"
	mkdir -p "$data"
	write_config
	start_receiver
	step "Events by ordinary senders, from namespace $tx"
	send_by_hand
	step "Events at a steady rate"
	send_and_watch
	step "Stop"
	stop_receiver
	step "The log, verified"
	millrace log verify "$data"
	step "The data, read by pyarrow (.venv/bin/python)"
	read_back
	echo
	echo "data: $data"
}

main
