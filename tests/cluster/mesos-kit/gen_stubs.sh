#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# gen_stubs.sh LIBRARY DIRECTORY
# Makes DIRECTORY/libssl.so.1.0.0, libcrypto.so.1.0.0 and libcurl.so.4 with the versioned names that
# LIBRARY wants of them. Each name jumps to the function of a real library, found at its first call
# (stubs.c): libcurl's in the system's; OpenSSL's in DIRECTORY/openssl102 if that is there, else the
# process aborts. Nothing calls OpenSSL unless LIBPROCESS_SSL_ENABLED is set or JWT secrets are used.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 2 ] || { echo "usage: gen_stubs.sh LIBRARY DIRECTORY" >&2; exit 2; }
library=$1
out=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# version_map VERSIONS…: the names in wanted, each under its version; every version inherits the one
# before it, and the first one hides all else.
version_map() {
	local version before=""
	for version in "$@"; do
		echo "$version {"
		if grep -q "@$version\$" "$work/wanted"; then
			echo "global:"
			sed -n "s/@$version\$/;/p" "$work/wanted"
		fi
		[ -n "$before" ] || echo "local: *;"
		echo "} $before;"
		before=$version
	done
}

# make_stub SONAME NAMES REAL [VERSIONS…]: NAMES is a pattern for "name@version"; VERSIONS must be
# there even when no name has them.
make_stub() {
	local soname=$1 names=$2 real=$3 versions
	shift 3
	grep -E "$names" "$work/all" >"$work/wanted"
	awk -F@ '{ printf "STUB(%s, %d)\n", $1, NR - 1 }' "$work/wanted" >"$work/stubs.def"
	mapfile -t versions < <({
		[ $# = 0 ] || printf '%s\n' "$@"
		sed 's/.*@//' "$work/wanted"
	} | LC_ALL=C sort -u)
	version_map "${versions[@]}" >"$work/map"
	gcc -O1 -shared -fPIC -I "$work" -DSONAME="\"$soname\"" -DREAL="\"$real\"" -o "$work/stub.so" \
		"$here/stubs.c" -Wl,-soname,"$soname" -Wl,--version-script="$work/map" -ldl
	mv "$work/stub.so" "$out/$soname"
}

curl=$(compgen -G '/usr/lib/*-linux-gnu/libcurl.so.4' | head -n 1)
nm -D --undefined-only "$library" | awk '{ print $2 }' | grep -E '@(OPENSSL_|CURL_OPENSSL)' >"$work/all"
make_stub libssl.so.1.0.0 '^(SSL|TLS)' 'openssl102/libssl*.so.1.0.2*' \
	OPENSSL_1.0.0 OPENSSL_1.0.1 OPENSSL_1.0.2
make_stub libcrypto.so.1.0.0 '^[^@]*@OPENSSL' 'openssl102/libcrypto*.so.1.0.2*' \
	OPENSSL_1.0.0 OPENSSL_1.0.2
make_stub libcurl.so.4 '^curl' "$curl"
