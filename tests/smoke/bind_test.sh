#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# builds: none
# scripts/setup.sh bind, unbind and restore: on a sysfs whose kernel is this script, but with real
# network devices, addresses and routes in a network namespace. A real NIC and kernel: tests/nic.
set -euo pipefail

if [ "${1:-}" != inside ]; then
	[ "$(id -u)" = 0 ] || {
		echo "needs root: makes a network namespace"
		exit 77
	}
	exec unshare --net --mount "$BASH" "$0" inside
fi
mount -t sysfs sysfs /sys

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MILLRACE_SETUP_SYS=$work/sys MILLRACE_SETUP_PROC=$work/proc MILLRACE_SETUP_STATE=$work/state
export MILLRACE_SETUP_DEV=$work/dev MILLRACE_SETUP_ETC=$work/etc
export WORK=$work MILLRACE_TREE
unset SSH_CONNECTION
A=0000:01:00.0 B=0000:01:00.1 C=0000:02:00.0
pci=$work/sys/bus/pci

fail() {
	echo "FAIL: $*"
	exit 1
}

# What the kernel does when it is written to. BROKEN: a driver that takes no device.
cat >"$work/setup.sh" <<'KERNEL'
source "$MILLRACE_TREE/scripts/setup.sh"
WAIT_NETDEV=3
load_module() { [ -d "$sys/bus/pci/drivers/$1" ]; }
write_sys() {
	local address device driver
	case $1 in
	*/driver_override) echo "$2" >"$1" ;;
	*/driver/unbind)
		device=$sys/bus/pci/devices/$2
		rm "$device/driver"
		if [ -d "$device/net" ]; then
			ip link del "$(ls "$device/net")"
			rm -r "$device/net"
		fi
		;;
	*/drivers_probe)
		device=$sys/bus/pci/devices/$2
		driver=$(<"$device/driver_override")
		[ -n "$driver" ] || driver=$(<"$device/usual")
		[ "$driver" != "${BROKEN:-}" ] || return 0
		[ "$driver" != "${HANGS:-}" ] || { touch "$WORK/hangs"; sleep 30; }
		ln -s "$sys/bus/pci/drivers/$driver" "$device/driver"
		if [ "$driver" = "$(<"$device/usual")" ]; then
			mkdir -p "$device/net/came${2:6:1}${2: -1}"
			ip link add "came${2:6:1}${2: -1}" type veth peer name "peer${2:6:1}${2: -1}"
			ip link set "peer${2:6:1}${2: -1}" up
		fi
		;;
	*) echo "$2" >"$1" ;;
	esac
}
main "$@"
KERNEL
# The tool, by which sysfs learns of a new name.
cat >"$work/ip" <<'IP'
#!/usr/bin/env bash
ip "$@" || exit
if [ "$1 $2 $3 ${5:-}" = "link set dev name" ]; then
	for dir in "$WORK"/sys/bus/pci/devices/*/net/"$4"; do
		[ ! -e "$dir" ] || mv "$dir" "${dir%/*}/$6"
	done
fi
IP
chmod +x "$work/ip"
export MILLRACE_SETUP_IP=$work/ip
setup() { bash "$work/setup.sh" "$@"; }

expect_exit() {
	local want=$1 got=0
	shift
	setup "$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" = "$want" ] || fail "exit $got instead of $want: setup.sh $* ($(<"$work/err"))"
}

says() {
	grep -q -- "$1" "$work/err" || fail "it does not say '$1' but: $(<"$work/err")"
}

driver() {
	basename "$(readlink "$pci/devices/$1/driver")"
}

expect_driver() {
	[ "$(driver "$1")" = "$2" ] || fail "$1 has driver $(driver "$1"), not $2"
}

# make_nic ADDRESS NAME GROUP DRIVER
make_nic() {
	mkdir -p "$pci/devices/$1/net/$2" "$pci/drivers/$4" "$work/sys/kernel/iommu_groups/$3/devices"
	echo 0x020000 >"$pci/devices/$1/class"
	echo "$4" >"$pci/devices/$1/usual"
	echo 0 >"$pci/devices/$1/numa_node"
	: >"$pci/devices/$1/driver_override"
	ln -s "$pci/drivers/$4" "$pci/devices/$1/driver"
	ln -s "$work/sys/kernel/iommu_groups/$3" "$pci/devices/$1/iommu_group"
	ln -s "$pci/devices/$1" "$work/sys/kernel/iommu_groups/$3/devices/$1"
	ip link add "$2" type veth peer name "p$2"
	ip link set "p$2" up
}

# All that a bind may change, of the namespace and of the fake sysfs.
picture() {
	ip -o addr show scope global | awk '{ print $2, $3, $4 }' | sort
	ip -o link show | grep -vE ': (peer|p)[a-z0-9]+[@:]' | grep -oE ': [a-z0-9]+[@:].* mtu [0-9]+|<[A-Z,_-]*>' |
		sed -E 's/@[^:]*//; s/(NO-CARRIER|LOWER_UP|M-DOWN),?//g' | sort
	ip -4 route show table all | grep -vE '^(local|broadcast)' | sed 's/ linkdown//' | sort
	ip -6 route show table all | grep -vE '^(local|multicast|anycast)|fe80|proto kernel' |
		sed 's/ linkdown//' | sort
	for nic in "$A" "$B" "$C"; do echo "$nic $(driver "$nic") $(<"$pci/devices/$nic/driver_override")"; done
}

mkdir -p "$pci/drivers/vfio-pci" "$work/sys/class" "$work/proc" "$work/dev/vfio"
ln -s /sys/class/net "$work/sys/class/net"
printf 'MemFree: 1048576 kB\nHugepagesize: 2048 kB\n' >"$work/proc/meminfo"
: >"$work/proc/mounts"
make_nic "$A" one 1 e1000e
make_nic "$B" two 2 e1000e
make_nic "$C" three 3 mlx5_core
touch "$work/dev/vfio/1" "$work/dev/vfio/2"
ip link set lo up
ip addr add 192.0.2.1/24 brd + dev one
ip addr add 192.0.2.7/32 dev one
ip -6 addr add 2001:db8::1/64 dev one nodad
ip link set one mtu 1400 up
ip route add 198.51.100.0/24 via 192.0.2.254 metric 7
ip route add 203.0.113.0/24 via 192.0.2.254 table 77
ip -6 route add 2001:db8:9::/48 via 2001:db8::fe
ip link set two up

echo "status shows each NIC, and its JSON is what the schema says"
expect_exit 0 status
grep -q "^$A *one *e1000e *1 *0 *up *- *192.0.2.1/24" "$work/out" || fail "status: $(<"$work/out")"
expect_exit 0 --json status
"$MILLRACE_TREE/.venv/bin/python" - "$MILLRACE_TREE/docs/schema/setup.1.json" "$work/out" <<'PY' || fail "schema"
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[2])), json.load(open(sys.argv[1])))
PY

echo "what must not be taken is refused with the reason, and nothing changes"
before=$(picture)
expect_exit 5 bind one
says "one is up with the address 192.0.2.1/24"
says "--force"
expect_exit 5 bind "$C"
says "kernel driver, which must stay"
expect_exit 5 bind --force 0000:09:00.0
says "no PCI device"
expect_exit 5 bind nothing
ip link add br0 type bridge
ip link set two master br0
ip addr add 10.0.0.1/24 dev br0
ip link set br0 up
expect_exit 5 bind two
says "br0 is up with the address 10.0.0.1/24"
ip route add default via 10.0.0.254
expect_exit 5 bind --force two
says "br0 carries the default route"
expect_exit 5 bind --force one two
ip route del default
ip -6 addr add 2001:db8:5::1/64 dev br0 nodad
ip -6 route add default via 2001:db8:5::fe table 12
expect_exit 5 bind --force "$B"
says "br0 carries the default route"
ip -6 route del default table 12
SSH_CONNECTION="10.0.0.9 50000 10.0.0.1 22" expect_exit 5 bind --force two
says "your ssh connection from 10.0.0.9"
ip link del br0
ln -s "$pci/devices/$C" "$work/sys/kernel/iommu_groups/2/devices/$C"
expect_exit 5 bind two
says "IOMMU group 2 has $C too, in use by mlx5_core"
rm "$work/sys/kernel/iommu_groups/2/devices/$C"
mv "$pci/devices/$B/iommu_group" "$work/group"
expect_exit 5 bind two
says "no IOMMU guards"
expect_exit 5 bind --user nobody --driver uio_pci_generic two
mv "$work/group" "$pci/devices/$B/iommu_group"
echo 0x010802 >"$pci/devices/$B/class"
expect_exit 5 bind "$B"
says "no network device"
echo 0x020000 >"$pci/devices/$B/class"
[ "$(picture)" = "$before" ] || fail "a refusal changed something: $(diff <(echo "$before") <(picture))"
[ ! -e "$work/state" ] || fail "a refusal left its mark"

echo "a dry run says what would be done, and changes nothing"
expect_exit 0 --dry-run bind --force one
says "would take $A from e1000e and bind it to vfio-pci"
[ "$(picture)" = "$before" ] || fail "a dry run changed something"
[ ! -e "$work/state" ] || fail "a dry run left its mark"

echo "a bind that fails puts the old driver back, addresses and routes too"
BROKEN=vfio-pci expect_exit 1 bind --force one
says "its old driver is put back"
[ "$(picture)" = "$before" ] || fail "not as before: $(diff <(echo "$before") <(picture))"

echo "so does one that is interrupted"
HANGS=vfio-pci bash "$work/setup.sh" bind --force one >"$work/out" 2>"$work/err" &
until [ -e "$work/hangs" ]; do sleep 0.05; done
# In this order: once its sleep has ended it goes on, but for the signal that has come already.
kill -TERM $!
until pkill -TERM -P $! sleep || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
wait $! && fail "the interrupted bind says it went well"
says "its old driver is put back"
[ "$(picture)" = "$before" ] || fail "not as before: $(diff <(echo "$before") <(picture))"

echo "bound, and bound again"
expect_exit 0 bind --force --user nobody one "$B"
expect_driver "$A" vfio-pci
expect_driver "$B" vfio-pci
[ "$(stat -c %U "$work/dev/vfio/1")" = nobody ] || fail "the group's node is not nobody's"
expect_exit 0 bind one
says "bound to vfio-pci already"
expect_exit 0 status
grep -q "^$A *- *vfio-pci .* e1000e" "$work/out" || fail "status: $(<"$work/out")"

echo "a NIC that a process holds is not given back"
mkdir -p "$work/proc/4711/fd"
ln -s /dev/vfio/1 "$work/proc/4711/fd/5"
echo millraced >"$work/proc/4711/comm"
expect_exit 5 unbind one
says "in use by process 4711 millraced"
rm -r "$work/proc/4711"

echo "damaged state is told, and never run"
cp "$work/state/nic-$A" "$work/saved"
# shellcheck disable=SC2016
echo 'address $(touch /tmp/oops) dev one; rm -rf x' >>"$work/state/nic-$A"
expect_exit 1 unbind one
says "is damaged in line"
expect_driver "$A" vfio-pci
cp "$work/saved" "$work/state/nic-$A"

echo "unbind gives one back, restore the rest, exactly as it was"
expect_exit 0 unbind "$B"
expect_driver "$B" e1000e
expect_exit 0 unbind "$B"
says "already"
expect_exit 0 --dry-run restore
expect_driver "$A" vfio-pci
expect_exit 0 restore
[ "$(picture)" = "$before" ] || fail "not as before: $(diff <(echo "$before") <(picture))"
expect_exit 0 restore
[ ! -e "$work/state" ] || fail "restore left its state"

echo "usage errors are usage errors"
for args in bind unbind "bind --driver nosuch one" "bind --user" "bind --user nosuchuser two" "restore one"; do
	# shellcheck disable=SC2086
	expect_exit 2 $args
done
