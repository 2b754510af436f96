# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # options and places are set by setup.sh
# Hugepages by size and NUMA node. By sysfs itself: hugeadm, the tool of libhugetlbfs, knows no nodes.

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

pool_rows() {
	local node kib dir total free saved
	while read -r node kib dir; do
		total=$(<"$dir/nr_hugepages")
		free=$(<"$dir/free_hugepages")
		saved=-
		[ ! -r "$(saved_file "$node" "$kib")" ] || saved=$(<"$(saved_file "$node" "$kib")")
		echo "$node $kib $total $free $saved"
	done < <(pools)
}

status_pools() {
	local node kib total free saved
	printf '%-5s %-5s %9s %9s %9s %14s\n' node size reserved free in-use 'before setup'
	while read -r node kib total free saved; do
		printf '%-5s %-5s %9s %9s %9s %14s\n' \
			"$node" "$(size_text "$kib")" "$total" "$free" $((total - free)) "$saved"
	done < <(pool_rows)
	[ ! -e "$persist_file" ] || echo "at boot: $persist_file"
	echo "hugetlbfs: $(hugetlbfs_mounts)"
}

hugetlbfs_mounts() {
	local mounts
	mounts=$(awk '$3 == "hugetlbfs" { print $2 }' "$proc/mounts")
	echo "${mounts:-not mounted (millraced needs no mount)}"
}

json_pools() {
	local node kib total free saved sep=''
	while read -r node kib total free saved; do
		printf '%s{"node":%s,"page_bytes":%s,"reserved":%s,"free":%s,"before_setup":%s}' "$sep" \
			"${node/-/null}" $((kib * 1024)) "$total" "$free" "${saved/-/null}"
		sep=,
	done < <(pool_rows)
}

json_mounts() {
	local mount sep=''
	while read -r mount; do
		printf '%s%s' "$sep" "$(json_text "$mount")"
		sep=,
	done < <(awk '$3 == "hugetlbfs" { print $2 }' "$proc/mounts")
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
	[ "$persist" = 0 ] || persist_pools "${dirs[@]}"
	[ "$json" = 1 ] || echo "hugepages: $granted of $(size_text "$kib") reserved ($before before)"
	report "{\"page_bytes\":$((kib * 1024)),\"asked\":$number,\"reserved\":$granted,\"before\":$before}"
	[ "$dry" = 1 ] || ((granted >= number)) || exit "$EXIT_FAILED"
}

# Has the pools as they are now reserved at each boot, by systemd-tmpfiles, which knows nodes.
persist_pools() {
	local dir text
	if [ "$dry" = 1 ]; then
		talk "would write $persist_file"
		return
	fi
	text=$(cat "$persist_file" 2>/dev/null || true)
	[ -n "$text" ] || text="# By setup.sh hugepages --persist; taken back by setup.sh restore."
	for dir in "$@"; do
		text=$(grep -vF "w $dir/" <<<"$text" || true)
		text+=$'\n'"w $dir/nr_hugepages - - - - $(<"$dir/nr_hugepages")"
	done
	mkdir -p "${persist_file%/*}"
	echo "$text" >"$persist_file.new"
	mv "$persist_file.new" "$persist_file"
}

# Sets restored_pools and failed_pools.
restore_pools() {
	local node kib dir file saved
	if [ -e "$persist_file" ]; then
		if [ "$dry" = 1 ]; then talk "would remove $persist_file"; else rm "$persist_file"; fi
	fi
	while read -r node kib dir; do
		file=$(saved_file "$node" "$kib")
		[ -r "$file" ] || continue
		saved=$(<"$file")
		if ! [[ $saved =~ ^[0-9]+$ ]]; then
			warn state_damaged "$file holds no number: '${saved:0:40}'" "rm $file"
			failed_pools=$((failed_pools + 1))
			continue
		fi
		set_pool "$dir" "$saved"
		[ "$dry" = 0 ] || continue
		if [ "$(<"$dir/nr_hugepages")" = "$saved" ]; then
			rm "$file"
			restored_pools=$((restored_pools + 1))
		else
			failed_pools=$((failed_pools + 1))
			warn restore_short "node $node, $(size_text "$kib"): $(<"$dir/nr_hugepages") pages instead of $saved" \
				"stop the programs that use hugepages, then: setup.sh restore"
		fi
	done < <(pools)
}
