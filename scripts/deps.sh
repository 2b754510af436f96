#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what Millrace needs on Debian 12, by package name, and only what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# The compiler's side: what meson.build asks for.
build_packages=(
	meson ninja-build pkg-config gcc libc6-dev
	libdpdk-dev liburing-dev liblz4-dev libisal-dev libyaml-dev libjansson-dev libmicrohttpd-dev
	libcurl4-openssl-dev libnl-route-3-dev libpcap-dev librdkafka-dev libsodium-dev libsystemd-dev
	libzookeeper-mt-dev
)

# To see it run: network namespaces and ordinary senders (bsdutils: logger).
demo_packages=(
	iproute2 procps ethtool netcat-openbsd bsdutils util-linux python3 python3-venv
)

test_packages=(
	libcmocka-dev zlib1g-dev
	g++ # an application in C++ includes millrace.h
	clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev
	shellcheck codespell systemd man-db groff-base zsh
	jq curl tcpdump iputils-ping iputils-arping ndisc6 e2fsprogs
	openssh-server openssh-client udhcpc udhcpd # what goes on by the exception device
	rsyslog libwrap0 libjson-c5 # forwards to millrace relay; what syslog-ng needs, which is only unpacked
	libfuse3-dev fuse3 xfsprogs btrfs-progs strace # disks that fail: tests/fault
	openjdk-17-jre-headless maven openssl # Kafka brokers, TLS: tests/sinks
	zookeeper # its classes; no server is started: tests/cluster
	# What the Mesos library wants, and what it is unpacked and mended with: tests/cluster.
	libapr1 libcurl4 libsasl2-2 libsasl2-modules libsvn1 zlib1g
	binutils patchelf
)

# The lab, tests/nic: a guest machine's QEMU (with its libraries and firmware), what packs its root
# and makes its file system, and what goes into it.
lab_packages=(
	qemu-system-x86 cpio kmod e2fsprogs procps util-linux mawk
)

# To measure: what draws, and what is measured against.
bench_packages=(
	fio gnuplot-nox rsyslog rsyslog-relp
	openjdk-17-jre-headless maven # the case peers-reliable has a Kafka broker
	# The cases with a cluster: ZooKeeper, and what the Mesos library wants.
	zookeeper ethtool libapr1 libcurl4 libsasl2-2 libsasl2-modules libsvn1 zlib1g binutils patchelf
)

# In .venv: the readers that the log is promised to, and what the tests speak with.
demo_modules=(pyarrow)
bench_modules=(confluent-kafka)
test_modules=(pyarrow polars nanoarrow numpy jsonschema prometheus-client scapy wheel confluent-kafka)

usage() {
	cat <<-USAGE
	usage: deps.sh build|demo|test|bench

	  build   compilers and libraries
	  demo    build, and what scripts/quickstart.sh runs; pyarrow in .venv
	  test    demo, and what scripts/test.sh runs; more readers in .venv
	  bench   build, and what bench/run.sh runs
	USAGE
}

missing_packages() {
	local name
	for name in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) echo "$name" ;;
		esac
	done
}

# quietly WHAT COMMAND…: its output only when it fails.
quietly() {
	local what=$1 log
	shift
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1; then
		echo "deps.sh: $what failed:" >&2
		tail -n 30 "$log" >&2
		rm -f "$log"
		exit 1
	fi
	rm -f "$log"
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "deps.sh: not root; to install what is missing: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	echo "deps.sh: installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	quietly "apt-get update" apt-get -qq update
	quietly "apt-get install" apt-get -qq -y --no-install-recommends install "${missing[@]}"
}

missing_modules() {
	local name
	for name in "$@"; do
		compgen -G ".venv/lib/python3*/site-packages/${name//-/_}-*.dist-info" >/dev/null || echo "$name"
	done
}

install_modules() {
	local missing
	mapfile -t missing < <(missing_modules "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "deps.sh: installing ${missing[*]} in .venv" >&2
	[ -x .venv/bin/python ] || quietly "python3 -m venv" python3 -m venv .venv
	quietly "pip install" .venv/bin/pip install --quiet --disable-pip-version-check "${missing[@]}"
}

case ${1:-} in
build)
	install_packages "${build_packages[@]}"
	;;
demo)
	install_packages "${build_packages[@]}" "${demo_packages[@]}"
	install_modules "${demo_modules[@]}"
	;;
test)
	install_packages "${build_packages[@]}" "${demo_packages[@]}" "${test_packages[@]}" "${lab_packages[@]}"
	install_modules "${test_modules[@]}"
	if [ -x scripts/fetch-nanoarrow.sh ]; then
		quietly "fetch-nanoarrow.sh" scripts/fetch-nanoarrow.sh
	fi
	quietly "fetching Kafka" python3 tests/lib/kafka.py fetch
	quietly "fetching Mesos" python3 tests/lib/mesos.py fetch
	;;
bench)
	install_packages "${build_packages[@]}" "${demo_packages[@]}" "${bench_packages[@]}"
	install_modules "${bench_modules[@]}"
	quietly "fetching Mesos" python3 tests/lib/mesos.py fetch
	;;
-h | --help)
	usage
	;;
*)
	usage >&2
	exit 2
	;;
esac
