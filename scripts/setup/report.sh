# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # options and places are set by setup.sh
# What setup.sh says: talk to stderr, data to stdout, warnings in both.

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

# refuse TEXT MEND
refuse() {
	talk "refused: $1"
	talk "  to mend: $2"
	exit "$EXIT_REFUSED"
}
