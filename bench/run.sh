#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Measures: bench/run.sh [CASE…]. Prints a table, writes bench/out/report.json and a plot.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${MILLRACE_BENCH_BUILD:-build-bench}

usage() {
	cat <<-USAGE
	usage: bench/run.sh [CASE…]

	  line-rate-1g      1.488 M smallest frames/s over memif, durable, without loss
	  line-rate-10g     14.88 M smallest frames/s at the pace of a wire, durable, on one lcore
	  capacity-600      600-byte events from a source that is never empty
	  capacity-600-lz4  600 bytes of text on a disk held to 100 MB/s, compressed and not
	  capacity-64       smallest frames in both modes; cycles of each stage
	  null-disk         the same without a disk and without a source's cost
	  latency           receive to durable at 1, 50 and 90 % load
	  trickle           100 events/s, and none
	  nic               millraced and the kernel side by side on an emulated NIC
	  flood             the loss-free rate without and with a million ARP, ND, fragments, strangers/s
	  reliable-600      600-byte events acknowledged, by AF_XDP and memif, beside plain UDP without loss
	  impaired          the same by a path that loses, reorders and doubles: what arrives, how soon
	  sources           a million senders at one partition: memory, openings, events
	  growth            partitions, size of the log, number of batches
	  kafka             600-byte events into Kafka in transactions, beside a bare librdkafka producer
	  catch-up          a sink that catches up at half load: what it reads, what reception feels
	  end-to-end        from the wire to a read_committed consumer of Kafka
	  relaunch          a receiver with a log of 10 GiB, killed: until it acknowledges again
	  controller-failover  do acknowledgements pause when the control, a master or ZooKeeper dies
	  offers            the offers of 1000 agents, 10,000/s, to millrace-control on one CPU
	  peers             the same events into millraced, rsyslog and a receiver by hand
	  peers-reliable    the same events acknowledged by millraced, rsyslog (RELP) and Kafka

	Without a case: all. As root; whatever is made goes again but for bench/out, and what is built or
	fetched into build-bench.
	MILLRACE_BENCH_SECONDS     length of each run, to try a case (default: its own)
	MILLRACE_BENCH_RATES       peers: offered events/s, "50000 100000 …"
	MILLRACE_BENCH_BISECTIONS  peers: runs that narrow down the loss-free rate (3)
	MILLRACE_BENCH_DIR         where the logs go (/var/tmp/millrace-bench)
	USAGE
}

cases() {
	local path
	for path in bench/cases/*.py; do
		basename "$path" .py
	done
}

build_release() {
	if [ ! -f "$build/build.ninja" ]; then
		meson setup --buildtype=release "$build" >/dev/null
	fi
	ninja -C "$build" all bench/acks bench/impair bench/make_log bench/millraced_null bench/millraced_pool \
		bench/rxonly bench/sources bench/udp_writer bench/reliable_port bench/line_writer \
		bench/kafka_producer bench/kafka_transactions >"$build/bench.log" || {
		tail -n 30 "$build/bench.log" >&2
		exit 1
	}
}

case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
-*)
	usage >&2
	exit 2
	;;
esac

mapfile -t all < <(cases)
if [ $# -eq 0 ]; then
	set -- "${all[@]}"
fi
for name in "$@"; do
	if [ ! -f "bench/cases/$name.py" ]; then
		echo "run.sh: no case '$name'; there are: ${all[*]}" >&2
		exit 2
	fi
done

scripts/deps.sh bench
build_release
mkdir -p bench/out
rm -f bench/out/rows.jsonl
failed=()
shown=()
for name in "$@"; do
	echo "== $name" >&2
	shown+=(--case "$name")
	if ! MILLRACE_BENCH_BUILD=$(realpath "$build") "bench/cases/$name.py"; then
		failed+=("$name")
	fi
done
if [ -s bench/out/rows.jsonl ]; then
	bench/report.py "${shown[@]}"
fi
if [ ${#failed[@]} -gt 0 ]; then
	echo "run.sh: could not be run: ${failed[*]}" >&2
	exit 1
fi
