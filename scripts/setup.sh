#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Takes NICs from the kernel for millraced, reserves hugepages, shows what there is, and gives back
# what was there before.
set -euo pipefail

# For the tests: another sysfs, procfs, /dev, state directory, tool and place of what lasts.
sys=${MILLRACE_SETUP_SYS:-/sys}
proc=${MILLRACE_SETUP_PROC:-/proc}
dev_dir=${MILLRACE_SETUP_DEV:-/dev}
state=${MILLRACE_SETUP_STATE:-/run/millrace-setup}
ip=${MILLRACE_SETUP_IP:-ip}
persist_file=${MILLRACE_SETUP_ETC:-/etc}/tmpfiles.d/millrace-hugepages.conf

EXIT_FAILED=1
EXIT_USAGE=2
EXIT_REFUSED=5

json=0
dry=0
force=0
persist=0
user=
wanted=vfio-pci
warnings=()

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/setup
# shellcheck source=scripts/setup/report.sh
. "$here/report.sh"
# shellcheck source=scripts/setup/hugepages.sh
. "$here/hugepages.sh"
# shellcheck source=scripts/setup/nics.sh
. "$here/nics.sh"
# shellcheck source=scripts/setup/bind.sh
. "$here/bind.sh"

usage() {
	cat <<-USAGE
	usage: setup.sh [--json] status
	       setup.sh [--json] [--dry-run] hugepages N [--size 2M|1G] [--node K] [--persist]
	       setup.sh [--json] [--dry-run] bind DEV… [--force] [--driver NAME] [--user NAME]
	       setup.sh [--json] [--dry-run] unbind DEV…
	       setup.sh [--json] [--dry-run] restore

	  status      NICs, hugepages of each size and NUMA node, and what restore would give back
	  hugepages   reserves N hugepages (of node K alone with --node) and reads back what the
	              kernel granted
	  bind        takes NICs (PCI addresses or network devices) from the kernel and gives them to
	              vfio-pci; what they were before is kept in $state
	  unbind      gives NICs back: driver, name, link state, MTU, addresses, routes
	  restore     gives back everything: NICs and hugepages

	  --size      2M or 1G (default: the kernel's default size)
	  --persist   have them reserved at each boot, too, until restore
	  --force     also a NIC that is up with an address; never the one by which this machine is
	              reached (default route, your ssh connection)
	  --driver    vfio-pci (default); without an IOMMU, unsafe: vfio-noiommu, uio_pci_generic, igb_uio
	  --user      give the NIC's vfio group to this user
	  --dry-run   says what would be done, changes nothing
	  --json      one line of JSON on stdout

	exit: 0 done, 1 failed or fewer pages granted than asked, 2 usage, 5 refused for safety
	USAGE
}

command_status() {
	[ "$json" = 1 ] || {
		status_nics
		echo
		status_pools
	}
	[ -n "$(pools)" ] || warn no_hugepages "this kernel has no hugepages" \
		"set memory.hugepages: false in the configuration"
	report "{\"nics\":[$(json_nics)],\"pools\":[$(json_pools)],\"hugetlbfs\":[$(json_mounts)]}"
}

command_restore() {
	restored_nics=0 failed_nics=0 restored_pools=0 failed_pools=0
	restore_nics
	restore_pools
	[ "$dry" = 1 ] || rmdir "$state" 2>/dev/null || true
	[ "$json" = 1 ] || [ "$dry" = 1 ] ||
		echo "restored: $restored_nics NICs, $restored_pools pools"
	report "{\"restored\":$restored_pools,\"failed\":$failed_pools,\"restored_nics\":$restored_nics,\"failed_nics\":$failed_nics}"
	((failed_pools + failed_nics == 0)) || exit "$EXIT_FAILED"
}

# parse_words WORD…: sets the options, words, size and node.
parse_words() {
	while [ $# -gt 0 ]; do
		case $1 in
		--json) json=1 ;;
		--dry-run) dry=1 ;;
		--force) force=1 ;;
		--persist) persist=1 ;;
		--size | --node | --driver | --user)
			[ $# -ge 2 ] || usage_error "$1 needs a value"
			case $1 in
			--size) size=$2 ;;
			--node) node=$2 ;;
			--driver) wanted=$2 ;;
			--user) user=$2 ;;
			esac
			shift
			;;
		-h | --help)
			usage
			exit 0
			;;
		-*) usage_error "unknown option: $1" ;;
		*) words+=("$1") ;;
		esac
		shift
	done
}

main() {
	local words=() size='' node='' kib
	parse_words "$@"
	case $size in
	'') kib=$(default_kib) ;;
	2M) kib=2048 ;;
	1G) kib=1048576 ;;
	*) usage_error "--size is 2M or 1G" ;;
	esac
	[[ $node =~ ^[0-9]*$ ]] || usage_error "--node is a number"
	case $wanted in
	vfio-pci | vfio-noiommu | uio_pci_generic | igb_uio) ;;
	*) usage_error "--driver is vfio-pci, vfio-noiommu, uio_pci_generic or igb_uio" ;;
	esac
	trap on_exit EXIT
	trap 'exit 130' INT TERM HUP
	case "${words[0]:-}" in
	status | restore)
		[ ${#words[@]} = 1 ] || usage_error "${words[0]} takes no more words"
		"command_${words[0]}"
		;;
	hugepages)
		[[ ${#words[@]} = 2 && ${words[1]} =~ ^[0-9]{1,7}$ ]] || usage_error "hugepages needs one number"
		command_hugepages "$((10#${words[1]}))" "${kib:-2048}" "$node"
		;;
	bind | unbind)
		[ ${#words[@]} -ge 2 ] || usage_error "${words[0]} needs at least one device"
		"command_${words[0]}" "${words[@]:1}"
		;;
	*) usage_error "say what to do: status, hugepages N, bind DEV, unbind DEV or restore" ;;
	esac
}

# Sourced by its test, which puts a stingy kernel in place of set_pool and write_sys.
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
