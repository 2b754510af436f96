#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# The millrace command without a receiver: exit codes, what goes to stdout and what to stderr, and
# JSON that its schemas allow.
set -euo pipefail

millrace=$MILLRACE_BUILD/cli/millrace
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "FAIL: $*"
	exit 1
}

# expect CODE OUT ERR -- WORD…: the exit code, and patterns of both outputs ('' is nothing at all)
expect() {
	local code=$1 out=$2 err=$3 got=0
	shift 4
	"$millrace" "$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" = "$code" ] || fail "exit $got instead of $code: $* ($(<"$work/err"))"
	holds "$out" "$work/out" || fail "stdout of '$*' is '$(<"$work/out")', wanted '$out'"
	holds "$err" "$work/err" || fail "stderr of '$*' is '$(<"$work/err")', wanted '$err'"
}

holds() {
	if [ -z "$1" ]; then
		[ ! -s "$2" ]
	else
		grep -q -- "$1" "$2"
	fi
}

conforms() {
	"$millrace" --json "${@:2}" >"$work/json" || true
	"$MILLRACE_TREE/.venv/bin/python" - "$MILLRACE_TREE/docs/schema/$1.1.json" "$work/json" <<-'END' || fail "$1: $(<"$work/json")"
		import json, sys
		import jsonschema
		schema, answer = (json.load(open(name)) for name in sys.argv[1:])
		jsonschema.Draft202012Validator(schema).validate(answer)
	END
}

cat >"$work/good.yaml" <<END
ports: [{device: eth1}]
listeners: [{port: 5140}]
receiver: here
END
cat >"$work/bad.yaml" <<END
ports: [{device: eth1}]
listeners: [{prt: 5140}]
partitions: many
END
printf 'receiver: "\xff\n' >"$work/binary.yaml"
head -c 2000000 /dev/zero >"$work/large.yaml"

echo "usage"
expect 2 '' 'which command' --
expect 2 '' "did you mean 'status'" -- statsu
expect 2 '' 'usage: millrace config check FILE' -- config check
expect 2 '' 'unknown option --frob' -- version --frob
expect 0 'usage: millrace \[options\] COMMAND' '' -- --help
expect 0 'usage: millrace config check FILE' '' -- help config check
expect 0 'config sample' '' -- help config
expect 2 '' 'there is no command' -- help nothing
expect 2 '' 'neither bash nor zsh' -- completion fish
expect 0 '^millrace [0-9]' '' -- version
expect 0 '^millrace [0-9]' '' -- --version

echo "a configuration"
expect 0 'good.yaml: valid' '' -- config check "$work/good.yaml"
expect 4 'bad.yaml:2: error: listeners\[0\].prt: unknown key; did you mean' '' \
	-- config check "$work/bad.yaml"
expect 4 'bad.yaml:3: error: partitions' '' -- config check "$work/bad.yaml"
expect 4 'binary.yaml:1: error: not YAML' '' -- config check "$work/binary.yaml"
expect 4 'large.yaml: error: the file is larger than 1 MiB' '' -- config check "$work/large.yaml"
expect 1 '' 'No such file' -- config check "$work/none.yaml"
expect 1 '' 'Is a directory' -- config check "$work"
expect 0 '^receiver: "here"$' '' -- config show --config "$work/good.yaml"
expect 4 '' 'partitions' -- config show --config "$work/bad.yaml"
"$millrace" config show --config "$work/good.yaml" >"$work/shown.yaml"
expect 0 'valid' '' -- config check "$work/shown.yaml"
holds warning "$work/out" && fail "what is shown is warned of"
"$millrace" config show --config "$work/shown.yaml" | cmp - "$work/shown.yaml"
expect 3 '' "$work/none.sock" -- --socket "$work/none.sock" config show

echo "JSON"
conforms version version
conforms config-check config check "$work/good.yaml"
conforms config-check config check "$work/bad.yaml"
conforms config-check config check "$work/binary.yaml"
conforms config config show --config "$work/good.yaml"

echo "output that cannot be written"
got=0
"$millrace" version >/dev/full 2>"$work/err" || got=$?
[ "$got" = 1 ] || fail "/dev/full: exit $got"
grep -q 'No space left' "$work/err" || fail "/dev/full: $(<"$work/err")"
