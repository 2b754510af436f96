#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Reserves hugepages for millraced, shows what there is, and gives back what was there before.
set -euo pipefail

# For the tests: another sysfs, procfs and state directory.
sys=${MILLRACE_SETUP_SYS:-/sys}
proc=${MILLRACE_SETUP_PROC:-/proc}
state=${MILLRACE_SETUP_STATE:-/run/millrace-setup}

EXIT_FAILED=1
EXIT_USAGE=2
EXIT_REFUSED=5

json=0
dry=0
warnings=()

usage() {
	cat <<-USAGE
	usage: setup.sh [--json] status
	       setup.sh [--json] [--dry-run] hugepages N [--size 2M|1G] [--node K]
	       setup.sh [--json] [--dry-run] restore

	  status      hugepages of each size and NUMA node, and what restore would set
	  hugepages   reserves N hugepages (of node K alone with --node) and reads back what the
	              kernel granted; the number before the first change is kept in $state
	  restore     sets the numbers that were there before the first change

	  --size      2M or 1G (default: the kernel's default size)
	  --dry-run   says what would be written, changes nothing
	  --json      one line of JSON on stdout

	exit: 0 done, 1 fewer pages granted than asked or failed, 2 usage, 5 refused for safety
	USAGE
}

talk() {
	echo "setup.sh: $*" >&2
}

usage_error() {
	talk "$*"
	talk "try: setup.sh --help"
	exit "$EXIT_USAGE"
}

# warn CODE TEXT [COMMAND THAT MENDS IT]
warn() {
	talk "$2"
	[ -z "${3:-}" ] || talk "  to mend: $3"
	warnings+=("$1" "$2" "${3:-}")
}

json_text() {
	local s=${1//\\/\\\\}
	printf '"%s"' "${s//\"/\\\"}"
}

# report DATA: the envelope that all JSON of Millrace has.
report() {
	[ "$json" = 1 ] || return 0
	local i sep=''
	printf '{"schema":"millrace.setup/1","time":"%s","receiver":%s,"data":%s,"warnings":[' \
		"$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)" "$(json_text "$(uname -n)")" "$1"
	for ((i = 0; i < ${#warnings[@]}; i += 3)); do
		printf '%s{"code":%s,"text":%s,"mend":' "$sep" \
			"$(json_text "${warnings[i]}")" "$(json_text "${warnings[i + 1]}")"
		if [ -n "${warnings[i + 2]}" ]; then
			json_text "${warnings[i + 2]}"
		else
			printf 'null'
		fi
		printf '}'
		sep=,
	done
	printf ']}\n'
}

# Directories that hold one pool each, "NODE KIB DIRECTORY" a line; node "-" where the kernel knows
# no NUMA nodes.
pools() {
	local dir node found=0
	for dir in "$sys"/devices/system/node/node[0-9]*/hugepages/hugepages-*kB; do
		[ -d "$dir" ] || continue
		found=1
		node=${dir#"$sys"/devices/system/node/node}
		echo "${node%%/*} $(pool_kib "$dir") $dir"
	done
	[ "$found" = 0 ] || return 0
	for dir in "$sys"/kernel/mm/hugepages/hugepages-*kB; do
		[ -d "$dir" ] || continue
		echo "- $(pool_kib "$dir") $dir"
	done
}

pool_kib() {
	local kib=${1##*hugepages-}
	echo "${kib%kB}"
}

default_kib() {
	awk '$1 == "Hugepagesize:" { print $2 }' "$proc/meminfo"
}

size_text() {
	if (($1 >= 1048576)); then
		echo "$(($1 / 1048576))G"
	else
		echo "$(($1 / 1024))M"
	fi
}

saved_file() {
	echo "$state/hugepages-$2kB-node$1"
}

command_status() {
	local node kib dir total free saved rows='' sep='' mounts mount mount_rows='' mount_sep=''
	mounts=$(awk '$3 == "hugetlbfs" { print $2 }' "$proc/mounts")
	[ "$json" = 1 ] || printf '%-5s %-5s %9s %9s %9s %14s\n' \
		node size reserved free in-use 'before setup'
	while read -r node kib dir; do
		total=$(<"$dir/nr_hugepages")
		free=$(<"$dir/free_hugepages")
		saved=-
		[ ! -r "$(saved_file "$node" "$kib")" ] || saved=$(<"$(saved_file "$node" "$kib")")
		[ "$json" = 1 ] || printf '%-5s %-5s %9s %9s %9s %14s\n' \
			"$node" "$(size_text "$kib")" "$total" "$free" $((total - free)) "$saved"
		rows+="$sep{\"node\":${node/-/null},\"page_bytes\":$((kib * 1024)),"
		rows+="\"reserved\":$total,\"free\":$free,\"before_setup\":${saved/-/null}}"
		sep=,
	done < <(pools)
	[ -n "$rows" ] || warn no_hugepages "this kernel has no hugepages" \
		"set memory.hugepages: false in the configuration"
	for mount in $mounts; do
		mount_rows+="$mount_sep$(json_text "$mount")"
		mount_sep=,
	done
	[ "$json" = 1 ] || echo "hugetlbfs: ${mounts:-not mounted (millraced needs no mount)}"
	report "{\"pools\":[$rows],\"hugetlbfs\":[$mount_rows]}"
}

# Writes a number to one pool; the kernel grants what it can.
set_pool() {
	local dir=$1 number=$2
	if [ "$dry" = 1 ]; then
		talk "would write $number to $dir/nr_hugepages"
		return
	fi
	if ! echo "$number" 2>/dev/null >"$dir/nr_hugepages"; then
		talk "cannot write $dir/nr_hugepages (root? a container without access?)"
		return "$EXIT_FAILED"
	fi
}

# Keeps the number of a pool as it was before the first change.
save_pool() {
	local file
	file=$(saved_file "$1" "$2")
	if [ "$dry" = 1 ] || [ -e "$file" ]; then
		return
	fi
	mkdir -p "$state"
	echo "$3" >"$file.new"
	mv "$file.new" "$file"
}

explain_shortfall() {
	local asked=$1 granted=$2 kib=$3 free_kib
	free_kib=$(awk '$1 == "MemFree:" { print $2 }' "$proc/meminfo")
	if (((asked - granted) * kib > free_kib)); then
		warn hugepages_short \
			"asked for $asked pages, granted $granted: only $((free_kib / 1024)) MiB are free" \
			"free memory, or ask for at most $((granted + free_kib / kib)) pages"
	elif ((kib >= 1048576)); then
		warn hugepages_short \
			"asked for $asked pages, granted $granted: memory is too fragmented for 1 GiB pages" \
			"reserve them at boot by the kernel parameters: hugepagesz=1G hugepages=$asked"
	else
		warn hugepages_short \
			"asked for $asked pages, granted $granted: memory is too fragmented" \
			"sync; echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory; then again"
	fi
}

# The share of N pages that each of the pools gets: evenly, the first ones the rest.
share_of() {
	local number=$1 count=$2 index=$3
	echo $((number / count + (index < number % count ? 1 : 0)))
}

command_hugepages() {
	local number=$1 kib=$2 only=$3 node size dir i share in_use granted=0 before=0
	local nodes=() dirs=()
	while read -r node size dir; do
		if [ "$size" = "$kib" ] && { [ -z "$only" ] || [ "$only" = "$node" ]; }; then
			nodes+=("$node")
			dirs+=("$dir")
		fi
	done < <(pools)
	if [ ${#dirs[@]} = 0 ]; then
		talk "no hugepages of $(size_text "$kib")${only:+ on node $only} on this machine"
		exit "$EXIT_FAILED"
	fi
	for i in "${!dirs[@]}"; do
		share=$(share_of "$number" ${#dirs[@]} "$i")
		in_use=$(($(<"${dirs[i]}/nr_hugepages") - $(<"${dirs[i]}/free_hugepages")))
		before=$((before + $(<"${dirs[i]}/nr_hugepages")))
		if ((share < in_use)); then
			talk "node ${nodes[i]}: $in_use pages are in use, more than the $share asked for"
			talk "  to mend: stop the programs that use them (grep -l hugepage /proc/*/maps)"
			exit "$EXIT_REFUSED"
		fi
	done
	for i in "${!dirs[@]}"; do
		share=$(share_of "$number" ${#dirs[@]} "$i")
		if [ "$(<"${dirs[i]}/nr_hugepages")" != "$share" ]; then
			save_pool "${nodes[i]}" "$kib" "$(<"${dirs[i]}/nr_hugepages")"
			set_pool "${dirs[i]}" "$share"
		fi
		granted=$((granted + $(<"${dirs[i]}/nr_hugepages")))
	done
	if [ "$dry" = 0 ] && ((granted < number)); then
		explain_shortfall "$number" "$granted" "$kib"
	fi
	[ "$json" = 1 ] || echo "hugepages: $granted of $(size_text "$kib") reserved ($before before)"
	report "{\"page_bytes\":$((kib * 1024)),\"asked\":$number,\"reserved\":$granted,\"before\":$before}"
	[ "$dry" = 1 ] || ((granted >= number)) || exit "$EXIT_FAILED"
}

command_restore() {
	local node kib dir file saved restored=0 failed=0
	while read -r node kib dir; do
		file=$(saved_file "$node" "$kib")
		[ -r "$file" ] || continue
		saved=$(<"$file")
		set_pool "$dir" "$saved"
		[ "$dry" = 0 ] || continue
		if [ "$(<"$dir/nr_hugepages")" = "$saved" ]; then
			rm "$file"
			restored=$((restored + 1))
		else
			failed=$((failed + 1))
			warn restore_short "node $node, $(size_text "$kib"): $(<"$dir/nr_hugepages") pages instead of $saved" \
				"stop the programs that use hugepages, then: setup.sh restore"
		fi
	done < <(pools)
	[ "$dry" = 1 ] || rmdir "$state" 2>/dev/null || true
	[ "$json" = 1 ] || echo "restored: $restored of $((restored + failed)) changed pools"
	report "{\"restored\":$restored,\"failed\":$failed}"
	[ "$failed" = 0 ] || exit "$EXIT_FAILED"
}

main() {
	local words=() size='' node='' kib
	while [ $# -gt 0 ]; do
		case $1 in
		--json) json=1 ;;
		--dry-run) dry=1 ;;
		--size | --node)
			[ $# -ge 2 ] || usage_error "$1 needs a value"
			if [ "$1" = --size ]; then size=$2; else node=$2; fi
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
	case $size in
	'') kib=$(default_kib) ;;
	2M) kib=2048 ;;
	1G) kib=1048576 ;;
	*) usage_error "--size is 2M or 1G" ;;
	esac
	[[ $node =~ ^[0-9]*$ ]] || usage_error "--node is a number"
	case "${words[*]:-}" in
	status) command_status ;;
	restore) command_restore ;;
	"hugepages "*)
		[[ ${#words[@]} = 2 && ${words[1]} =~ ^[0-9]{1,7}$ ]] || usage_error "hugepages needs one number"
		command_hugepages "$((10#${words[1]}))" "${kib:-2048}" "$node"
		;;
	*) usage_error "say what to do: status, hugepages N or restore" ;;
	esac
}

# Sourced by its test, which puts a stingy kernel in place of set_pool.
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
