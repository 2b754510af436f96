# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # options and places are set by setup.sh
# What a NIC is now, and why it may not be taken from the kernel.

is_pci_address() {
	[[ $1 =~ ^([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$ ]]
}

# nic_address DEV: the PCI address of a device given by address or by name, also by the name that it
# had before it was bound.
nic_address() {
	local dev=$1 path file
	if is_pci_address "$dev"; then
		[[ $dev = ????:* ]] || dev=0000:$dev
		dev=${dev,,}
		[ -d "$sys/bus/pci/devices/$dev" ] || refuse "no PCI device $dev" "setup.sh status   (lists the NICs there are)"
		echo "$dev"
		return
	fi
	[[ $dev =~ ^[A-Za-z0-9._:@-]{1,15}$ ]] || refuse "'$dev' names no device" "give a PCI address or a network device"
	for path in "$sys"/bus/pci/devices/*/net/"$dev" "$sys"/bus/pci/devices/*/virtio*/net/"$dev"; do
		[ -e "$path" ] || continue
		path=${path#"$sys"/bus/pci/devices/}
		echo "${path%%/*}"
		return
	done
	[ ! -e "$sys/class/net/$dev" ] ||
		refuse "$dev is no PCI device" "use it by its name (AF_XDP): nothing is to be bound"
	for file in "$state"/nic-*; do
		if [ -r "$file" ] && grep -qxF "net $dev" "$file"; then
			echo "${file##*/nic-}"
			return
		fi
	done
	refuse "no network device $dev here" "setup.sh status   (lists the NICs there are)"
}

nic_driver() {
	local path
	path=$(readlink "$sys/bus/pci/devices/$1/driver" || true)
	echo "${path##*/}"
}

# Network devices of a NIC, one a line.
nic_netdevs() {
	local path
	for path in "$sys/bus/pci/devices/$1"/net/* "$sys/bus/pci/devices/$1"/virtio*/net/*; do
		[ ! -e "$path" ] || echo "${path##*/}"
	done
}

# The same and whatever stands on them: VLANs, bridges, bonds.
nic_stack() {
	local dev upper found
	mapfile -t found < <(nic_netdevs "$1")
	for ((i = 0; i < ${#found[@]}; i++)); do
		dev=${found[i]}
		echo "$dev"
		for upper in "$sys/class/net/$dev"/upper_*; do
			[ ! -e "$upper" ] || found+=("${upper##*/upper_}")
		done
	done
}

nic_group() {
	local path
	path=$(readlink "$sys/bus/pci/devices/$1/iommu_group" || true)
	echo "${path##*/}"
}

is_network_class() {
	[[ $(<"$sys/bus/pci/devices/$1/class") = 0x02* ]]
}

# Global addresses of a device, "ADDRESS/PREFIX" a line.
dev_addresses() {
	"$ip" -o addr show dev "$1" scope global 2>/dev/null | awk '{ print $4 }'
}

dev_is_up() {
	local flags=0
	[ ! -r "$sys/class/net/$1/flags" ] || flags=$(<"$sys/class/net/$1/flags")
	(((flags & 1) == 1))
}

# Prints "DEV REASON" for each device of the stack by which this machine is reached.
reached_by() {
	local dev client
	client=${SSH_CONNECTION:-}
	client=${client%% *}
	while read -r dev; do
		if "$ip" -4 route show table all default dev "$dev" 2>/dev/null | grep -q . ||
			"$ip" -6 route show table all default dev "$dev" 2>/dev/null | grep -q .; then
			echo "$dev carries the default route"
		elif [ -n "$client" ] && "$ip" -o route get "${client%%%*}" 2>/dev/null |
			grep -qE " dev $dev( |$)"; then
			echo "$dev carries your ssh connection from $client"
		fi
	done < <(nic_stack "$1")
}

check_reached() {
	local why
	why=$(reached_by "$1" | head -n 1)
	[ -z "$why" ] ||
		refuse "$1: $why; without it this machine is out of reach" \
			"bind another NIC, or move the route to another one first"
}

check_in_use() {
	local dev address
	[ "$force" = 0 ] || return 0
	while read -r dev; do
		address=$(dev_addresses "$dev" | head -n 1)
		if [ -n "$address" ] && dev_is_up "$dev"; then
			refuse "$1: $dev is up with the address $address" \
				"setup.sh bind --force $1   (restore gives the address back)"
		fi
	done < <(nic_stack "$1")
}

# All of an IOMMU group is given to one owner, so nobody else may be using a part of it.
check_group() {
	local member address driver group
	[ "$wanted" = vfio-pci ] || return 0
	group=$(nic_group "$1")
	if [ -z "$group" ]; then
		refuse "$1: no IOMMU guards this device's memory access, so vfio-pci can't take it" \
			"boot with intel_iommu=on iommu=pt (AMD: iommu=pt); or use the device's name (AF_XDP); or, unsafe: --driver vfio-noiommu"
	fi
	for member in "$sys/kernel/iommu_groups/$group/devices"/*; do
		address=${member##*/}
		driver=$(nic_driver "$address")
		case $driver in
		'' | vfio-pci | pcieport) continue ;;
		esac
		[[ " $* " != *" $address "* ]] || continue
		refuse "$1: its IOMMU group $group has $address too, in use by $driver" \
			"bind both, or put the NIC into a slot of its own"
	done
}

# check_nic ADDRESS ALL…: refuses with the reason, or returns.
check_nic() {
	is_network_class "$1" || refuse "$1 is no network device (class $(<"$sys/bus/pci/devices/$1/class"))" \
		"setup.sh status   (lists the NICs there are)"
	case $(nic_driver "$1") in
	mlx4_core | mlx5_core)
		refuse "$1: DPDK shares this NIC with its kernel driver, which must stay" \
			"name $1 in the configuration as it is"
		;;
	esac
	check_reached "$1"
	check_in_use "$1"
	check_group "$@"
}

# Processes that have the NIC open by vfio or uio, "PID NAME" a line.
nic_holders() {
	local group node fd pid
	group=$(nic_group "$1")
	for fd in "$proc"/[0-9]*/fd/*; do
		node=$(readlink "$fd" 2>/dev/null || true)
		case $node in
		"/dev/vfio/$group" | "/dev/vfio/noiommu-$group" | /dev/uio[0-9]*)
			[[ $node = /dev/vfio/* || -e $sys/bus/pci/devices/$1/uio/${node##*/} ]] || continue
			[ -n "$group" ] || [[ $node = /dev/uio* ]] || continue
			pid=${fd#"$proc"/}
			echo "${pid%%/*} $(cat "$proc/${pid%%/*}/comm" 2>/dev/null || echo '?')"
			;;
		esac
	done
}

list_nics() {
	local path
	for path in "$sys"/bus/pci/devices/*; do
		if [ -r "$path/class" ] && is_network_class "${path##*/}"; then
			echo "${path##*/}"
		fi
	done
}

nic_node() {
	local node=-1
	[ ! -r "$sys/bus/pci/devices/$1/numa_node" ] || node=$(<"$sys/bus/pci/devices/$1/numa_node")
	[ "$node" != -1 ] && echo "$node" || echo -
}

nic_saved_driver() {
	[ ! -r "$state/nic-$1" ] || awk '$1 == "driver" { print $2 }' "$state/nic-$1"
}

status_nics() {
	local address dev names link addresses
	printf '%-13s %-10s %-12s %-6s %-5s %-5s %-12s %s\n' \
		nic name driver iommu node link 'before setup' addresses
	while read -r address; do
		names='' link=- addresses=''
		while read -r dev; do
			names+=${names:+,}$dev
			if dev_is_up "$dev"; then link=up; else link=down; fi
			addresses+=" $(dev_addresses "$dev" | tr '\n' ' ')"
		done < <(nic_netdevs "$address")
		read -ra addresses <<<"$addresses"
		printf '%-13s %-10s %-12s %-6s %-5s %-5s %-12s %s\n' "$address" "${names:--}" \
			"$(or_dash "$(nic_driver "$address")")" "$(or_dash "$(nic_group "$address")")" \
			"$(nic_node "$address")" "$link" "$(or_dash "$(nic_saved_driver "$address")")" "${addresses[*]:-}"
	done < <(list_nics)
}

or_dash() {
	echo "${1:--}"
}

json_or_null() {
	if [ -n "$1" ]; then json_text "$1"; else printf null; fi
}

json_list() {
	local item sep=''
	printf '['
	while read -r item; do
		[ -n "$item" ] || continue
		printf '%s%s' "$sep" "$(json_text "$item")"
		sep=,
	done
	printf ']'
}

json_nics() {
	local address dev up sep='' node group
	while read -r address; do
		up=null
		while read -r dev; do
			if dev_is_up "$dev"; then up=true; else up=false; fi
		done < <(nic_netdevs "$address")
		node=$(nic_node "$address")
		group=$(nic_group "$address")
		printf '%s{"address":%s,"names":%s,"driver":%s,"iommu_group":%s,"numa_node":%s,"up":%s,"addresses":%s,"driver_before_setup":%s}' \
			"$sep" "$(json_text "$address")" "$(nic_netdevs "$address" | json_list)" \
			"$(json_or_null "$(nic_driver "$address")")" "${group:-null}" "${node/-/null}" "$up" \
			"$(nic_netdevs "$address" | while read -r dev; do dev_addresses "$dev"; done | json_list)" \
			"$(json_or_null "$(nic_saved_driver "$address")")"
		sep=,
	done < <(list_nics)
}
