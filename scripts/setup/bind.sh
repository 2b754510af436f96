# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # options and places are set by setup.sh
# Takes NICs from the kernel and gives them back as they were.
#
# What a NIC was stands in $state/nic-ADDRESS, a word and its value a line: driver, override, and for
# each network device net, mtu, mac, up, address, route4, route6.

# How long a driver may take to make its network device, in tenths of a second.
WAIT_NETDEV=100
pending='' # the NIC that is between two drivers

# Writes one value to sysfs. The test puts a kernel of its own in its place.
write_sys() {
	printf '%s\n' "$2" 2>/dev/null >"$1"
}

load_module() {
	[ -d "$sys/bus/pci/drivers/$1" ] || modprobe "$1" 2>/dev/null || true
	[ -d "$sys/bus/pci/drivers/$1" ]
}

state_of_dev() {
	local dev=$1
	echo "net $dev"
	echo "mtu $(<"$sys/class/net/$dev/mtu")"
	# 3: set by somebody, so the driver would not come back with it.
	if [ "$(cat "$sys/class/net/$dev/addr_assign_type" 2>/dev/null)" = 3 ]; then
		echo "mac $(<"$sys/class/net/$dev/address")"
	fi
	# After these, which some drivers only set while it is down; before addresses and routes.
	if dev_is_up "$dev"; then echo "up 1"; else echo "up 0"; fi
	# What the kernel makes by itself (link-local, by router advertisements) it makes again.
	"$ip" -o addr show dev "$dev" scope global | awk '!/ dynamic /{
		printf "address %s", $4
		for (i = 5; i <= NF && $i !~ /^valid_lft|^\\/; i++)
			if ($i == "peer" || $i == "brd" || $i == "label") { printf " %s %s", $i, $(i + 1); i++ }
			else if ($i == "noprefixroute" || $i == "nodad") printf " %s", $i
		print "" }'
	"$ip" -4 route show table all dev "$dev" | saved_routes route4
	"$ip" -6 route show table all dev "$dev" | saved_routes route6
}

saved_routes() {
	awk -v word="$1" '!/ proto (kernel|ra)/ && !/^(local|broadcast|multicast|anycast) / && !/ expires /{
		gsub(/ (linkdown|dead)/, ""); print word, $0 }'
}

save_nic() {
	local dev file="$state/nic-$1"
	[ ! -e "$file" ] || return 0
	mkdir -p "$state"
	{
		echo "driver $(or_dash "$(nic_driver "$1")")"
		echo "override $(sed 's/^(null)$//' "$sys/bus/pci/devices/$1/driver_override" 2>/dev/null)"
		while read -r dev; do state_of_dev "$dev"; done < <(nic_netdevs "$1")
	} >"$file.new"
	mv "$file.new" "$file"
}

# Each line of a state file must be one that save_nic writes: what follows goes to `ip` word by word.
check_state() {
	local file=$1 number=0 line lines
	mapfile -t lines <"$file"
	for line in "${lines[@]}"; do
		number=$((number + 1))
		[[ $line =~ ^(driver|override|net|up|mtu|mac|address|route4|route6)\ [][A-Za-z0-9.:/_@%\ -]*$ ]] && continue
		talk "$file is damaged in line $number: '${line:0:60}'"
		talk "  to mend: rm $file, then: setup.sh unbind ${file##*/nic-}"
		return 1
	done
	grep -q '^driver [A-Za-z0-9_-]' "$file"
}

# set_driver ADDRESS DRIVER: has that driver take the device; an empty one: the kernel's own choice.
set_driver() {
	local dev="$sys/bus/pci/devices/$1"
	write_sys "$dev/driver_override" "$2" || return
	if [ -e "$dev/driver" ]; then
		write_sys "$dev/driver/unbind" "$1" || return
	fi
	write_sys "$sys/bus/pci/drivers_probe" "$1" || return
	[ -e "$dev/driver" ] && { [ -z "$2" ] || [ "$(nic_driver "$1")" = "$2" ]; }
}

wait_netdev() {
	local i
	for ((i = 0; i < WAIT_NETDEV; i++)); do
		[ -z "$(nic_netdevs "$1")" ] || return 0
		sleep 0.1
	done
	return 1
}

# Gives a network device what the state file says of it.
restore_dev() {
	local file=$1 dev='' word value words now
	while read -r word value; do
		read -ra words <<<"$value"
		case $word in
		net)
			dev=$value
			now=$(nic_netdevs "$2" | head -n 1)
			if [ -n "$now" ] && [ "$now" != "$dev" ] && [ ! -e "$sys/class/net/$dev" ]; then
				"$ip" link set dev "$now" down
				"$ip" link set dev "$now" name "$dev"
			fi
			;;
		mtu) "$ip" link set dev "$dev" mtu "$value" ;;
		mac) "$ip" link set dev "$dev" address "$value" ;;
		up) [ "$value" = 0 ] || "$ip" link set dev "$dev" up ;;
		address) "$ip" addr replace "${words[@]}" dev "$dev" ;;
		route4) "$ip" -4 route replace "${words[@]}" dev "$dev" ;;
		route6) "$ip" -6 route replace "${words[@]}" dev "$dev" ;;
		esac || warn restore_failed "$2: 'ip' refused: $word $value" "set it by hand"
	done < <(grep -vE '^(driver|override) ' "$file")
}

# give_back ADDRESS: the driver that it had, and all that its network device was.
give_back() {
	local file="$state/nic-$1" driver override
	check_state "$file" || return
	driver=$(awk '$1 == "driver" { print $2 }' "$file")
	override=$(awk '$1 == "override" { print $2 }' "$file")
	if [ "$(nic_driver "$1")" != "$driver" ]; then
		if [ "$driver" = - ]; then
			write_sys "$sys/bus/pci/devices/$1/driver/unbind" "$1" || true
		elif ! set_driver "$1" "$driver" && ! set_driver "$1" ""; then
			warn no_driver "$1: neither $driver nor another driver takes it" \
				"modprobe $driver; echo $1 > /sys/bus/pci/drivers_probe"
			return 1
		fi
	fi
	write_sys "$sys/bus/pci/devices/$1/driver_override" "$override" || true
	if grep -q '^net ' "$file"; then
		if wait_netdev "$1"; then
			restore_dev "$file" "$1"
		else
			warn no_netdev "$1: $driver made no network device" "dmesg | tail"
			return 1
		fi
	fi
	rm "$file"
}

# Whatever ends this script in the middle: no NIC stays without a driver.
on_exit() {
	local code=$?
	trap - EXIT INT TERM HUP
	if [ -n "$pending" ]; then
		talk "$pending: interrupted or failed; its old driver is put back"
		give_back "$pending" || true
		[ "$code" != 0 ] || code=$EXIT_FAILED
	fi
	exit "$code"
}

# bind_nic ADDRESS
bind_nic() {
	local driver=$wanted
	[ "$wanted" != vfio-noiommu ] || driver=vfio-pci
	if [ "$(nic_driver "$1")" = "$driver" ]; then
		talk "$1 is bound to $driver already"
	elif [ "$dry" = 1 ]; then
		talk "would keep what $1 is in $state/nic-$1"
		talk "would take $1 from $(or_dash "$(nic_driver "$1")") and bind it to $driver"
	else
		save_nic "$1"
		pending=$1
		if ! set_driver "$1" "$driver"; then
			talk "$1 could not be bound to $driver (dmesg | tail tells why)"
			exit "$EXIT_FAILED"
		fi
		pending=''
		bound=$((bound + 1))
	fi
	[ -z "$user" ] || give_to_user "$1"
}

# The vfio group's node; what else an ordinary user needs is said.
give_to_user() {
	local node
	node=$dev_dir/vfio/$(nic_group "$1")
	if [ "$dry" = 1 ]; then
		talk "would give $node to $user"
		return
	fi
	chown "$user" "$node"
	talk "$node belongs to $user, who needs locked memory, too: ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)"
}

prepare_driver() {
	local param="$sys/module/vfio/parameters/enable_unsafe_noiommu_mode" module=$wanted
	[ "$dry" = 0 ] || return 0
	[ "$wanted" != vfio-noiommu ] || module=vfio-pci
	if ! load_module "$module"; then
		talk "no driver $module on this kernel"
		talk "  to mend: modprobe $module   (Debian: the ordinary kernel has vfio-pci and uio_pci_generic, the cloud kernel has not)"
		exit "$EXIT_FAILED"
	fi
	[ "$wanted" = vfio-noiommu ] || return 0
	if [ ! -e "$param" ]; then
		talk "this kernel's vfio has no mode without an IOMMU (CONFIG_VFIO_NOIOMMU)"
		talk "  to mend: --driver uio_pci_generic"
		exit "$EXIT_FAILED"
	fi
	mkdir -p "$state"
	[ -e "$state/noiommu" ] || cat "$param" >"$state/noiommu"
	write_sys "$param" Y
}

command_bind() {
	local dev address addresses=()
	bound=0
	for dev in "$@"; do
		address=$(nic_address "$dev") || exit
		addresses+=("$address")
	done
	if [ -n "$user" ]; then
		id -u "$user" >/dev/null 2>&1 || usage_error "there is no user $user"
		[ "$wanted" = vfio-pci ] || refuse "without an IOMMU a NIC is for root alone" "leave --user out"
	fi
	# All of them before the first is touched.
	for address in "${addresses[@]}"; do
		case $(nic_driver "$address") in
		vfio-pci | uio_pci_generic | igb_uio) is_network_class "$address" ;;
		*) check_nic "$address" "${addresses[@]}" ;;
		esac || refuse "$address is no network device" "setup.sh status"
	done
	prepare_driver
	for address in "${addresses[@]}"; do
		bind_nic "$address"
	done
	[ "$json" = 1 ] || echo "bound: $bound of ${#addresses[@]} to $wanted"
	report "{\"bound\":$bound,\"nics\":[$(json_nics)]}"
}

unbind_nic() {
	local holder
	if [ ! -e "$state/nic-$1" ]; then
		case $(nic_driver "$1") in
		vfio-pci | uio_pci_generic | igb_uio | '') ;;
		*)
			talk "$1 has its kernel driver $(nic_driver "$1") already"
			return
			;;
		esac
	fi
	holder=$(nic_holders "$1" | head -n 1)
	[ -z "$holder" ] || refuse "$1 is in use by process $holder" "stop it first"
	if [ "$dry" = 1 ]; then
		talk "would give $1 back to $(or_dash "$(nic_saved_driver "$1")")"
	elif [ -e "$state/nic-$1" ]; then
		give_back "$1" || return
		unbound=$((unbound + 1))
	else
		talk "$1 was not bound by setup.sh: the kernel chooses its driver"
		set_driver "$1" "" || {
			warn no_driver "$1: no driver takes it" "modprobe its driver; setup.sh unbind $1"
			return 1
		}
		unbound=$((unbound + 1))
	fi
}

command_unbind() {
	local dev address failed=0
	unbound=0
	for dev in "$@"; do
		address=$(nic_address "$dev") || exit
		unbind_nic "$address" || failed=$((failed + 1))
	done
	[ "$json" = 1 ] || echo "given back: $unbound of $#"
	report "{\"unbound\":$unbound,\"failed\":$failed,\"nics\":[$(json_nics)]}"
	[ "$failed" = 0 ] || exit "$EXIT_FAILED"
}

# Sets restored_nics and failed_nics.
restore_nics() {
	local file
	unbound=0
	for file in "$state"/nic-*; do
		case $file in *.new | *'*') continue ;; esac
		if unbind_nic "${file##*/nic-}"; then
			restored_nics=$((restored_nics + 1))
		else
			failed_nics=$((failed_nics + 1))
		fi
	done
	if [ -e "$state/noiommu" ] && [ "$dry" = 0 ]; then
		write_sys "$sys/module/vfio/parameters/enable_unsafe_noiommu_mode" "$(head -c 1 "$state/noiommu")" || true
		rm "$state/noiommu"
	fi
}
