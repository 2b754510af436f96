#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What applications see of a library: a header that C and C++ take, the symbols that it declares
# and no others, in the shared library under a version. public_test.sh TREE NAME FUNCTIONS SHARED
# [STATIC]; NAME: of the header, FUNCTIONS: how many it declares.
set -euo pipefail
tree=$1 name=$2 functions=$3 shared=$4 static=${5:-}
version=${name^^}_0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

complain() {
	echo "$*"
	bad=1
}

same() {
	diff -u "$work/declared" "$work/found" || complain "$1: other symbols than declared"
}

sed -n '/^typedef/!s/^[a-z].*[ *]\(millrace_[a-z_]*\)(.*/\1/p' "$tree/include/$name.h" | sort >"$work/declared"
[ "$(wc -l <"$work/declared")" -eq "$functions" ] || complain "$(wc -l <"$work/declared") functions declared"

nm -D --defined-only --with-symbol-versions "$shared" |
	sed -n 's/^[0-9a-f]* T \(.*\)@@'"$version"'$/\1/p' | sort >"$work/found"
same "$shared"
if nm -D --defined-only --with-symbol-versions "$shared" | grep -v "@@$version\$\| A $version\$"; then
	complain "$shared: symbols without a version"
fi
readelf -d "$shared" | grep -q "SONAME.*\[lib${name//_/-}\.so\.0\]" || complain "$shared: another soname"
! readelf -d "$shared" | grep NEEDED | grep -i 'rte_\|dpdk' || complain "$shared: needs DPDK"
if [ "$name" = millrace ]; then
	! readelf -d "$shared" | grep NEEDED | grep -i zookeeper || complain "$shared: needs ZooKeeper"
fi

# Sanitizers and coverage have global symbols of their own.
if [ -n "$static" ]; then
	nm -g --defined-only "$static" | sed -n 's/^[0-9a-f]* [TDBRV] //p' | sort >"$work/found"
	same "$static"
fi

cat >"$work/use.c" <<END
#include "$name.h"
int main(void)
{
	struct millrace_options options = {sizeof(options)};
	struct millrace *m;
	options.receivers = "127.0.0.1:9";
	return millrace_open(&m, &options, NULL) != 0 || millrace_close(m, 0) != 0;
}
END
cp "$work/use.c" "$work/use.cc"
gcc -std=c99 -pedantic -Wall -Wextra -Werror -Wno-missing-field-initializers \
	-I"$tree/include" -fsyntax-only "$work/use.c" || complain "the header is no C99"
if command -v g++ >/dev/null; then
	g++ -std=c++11 -pedantic -Wall -Wextra -Werror -Wno-missing-field-initializers \
		-I"$tree/include" -fsyntax-only "$work/use.cc" || complain "the header is no C++"
fi
exit $bad
