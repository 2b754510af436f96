#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# builds: test
# What is made from the tables of commands and keys: the files in the tree are what the tables
# make, the man pages render without a warning, and the completions are scripts that complete.
set -euo pipefail
cd "$MILLRACE_TREE"
millrace=$MILLRACE_BUILD/cli/millrace
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

complain() {
	echo "$*"
	bad=1
}

same() {
	"$millrace" config "$1" >"$work/made"
	diff -u "$2" "$work/made" || complain "$2: run 'millrace config $1 > $2'"
}

same sample packaging/millrace.yaml
same docs docs/configuration.md
"$MILLRACE_BUILD/control/millrace-control" --sample | diff -u packaging/control.yaml - ||
	complain "packaging/control.yaml: run 'millrace-control --sample > packaging/control.yaml'"
"$MILLRACE_BUILD/control/millrace-control" -c packaging/control.yaml --check >"$work/check" 2>&1 ||
	complain "$(cat "$work/check")"
"$millrace" cluster sample | diff -u packaging/cluster.yaml - ||
	complain "packaging/cluster.yaml: run 'millrace cluster sample > packaging/cluster.yaml'"
"$millrace" config check packaging/millrace.yaml >"$work/check" || complain "$(cat "$work/check")"

mkdir "$work/man"
"$millrace" docs man "$work/man"
pages=("$work"/man/* "$MILLRACE_BUILD"/lib/man3/* "$MILLRACE_BUILD"/lib/cluster/man3/*)
[ "${#pages[@]}" -ge 23 ] || complain "only ${#pages[@]} man pages"
while read -r name; do
	compgen -G "$MILLRACE_BUILD/lib/man3/$name.3" || compgen -G "$MILLRACE_BUILD/lib/cluster/man3/$name.3" ||
		complain "$name has no man page"
done < <(sed -n 's/^\t\(millrace_.*\);/\1/p' lib/millrace.map lib/cluster/millrace-cluster.map) >/dev/null
for page in "${pages[@]}"; do
	# From where its ".so man3/…" leads somewhere.
	said=$(
		cd "$(dirname "$page")/.."
		MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings=w -l "$page" 2>&1 >"$work/page" || true
	)
	[ -z "$said" ] || complain "$(basename "$page"): $said"
	grep -q '^NAME' "$work/page" || complain "$(basename "$page"): has no NAME"
done

"$millrace" completion bash >"$work/bash"
bash -n "$work/bash" || complain "completion bash is no bash"
shellcheck -s bash "$work/bash" || complain "completion bash: shellcheck"
"$millrace" completion zsh >"$work/zsh"
zsh -n "$work/zsh" || complain "completion zsh is no zsh"

# Completes the last word of a line as bash would.
complete_line() {
	bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
		_millrace; echo "${COMPREPLY[*]}"' complete "$work/bash" "$@"
}

expect() {
	local wanted=$1 got
	shift
	got=$(complete_line "$@")
	[ "$got" = "$wanted" ] || complain "'$*' completes to '$got' instead of '$wanted'"
}

expect "consumers config completion" millrace co
expect "check show docs sample" millrace config ""
expect "--config" millrace config show --c
expect "" millrace config check /
expect "--json" millrace version --j
exit "$bad"
