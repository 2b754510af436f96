#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# install.sh PREFIX
# On Debian 12 (x86_64) puts a real Apache Mesos 1.11.0 under PREFIX, out of Python packages:
#   PREFIX/lib  the native library of the package mesos-scheduler, stubs of libssl, libcrypto and
#               libcurl, and with TLS openssl102/
#   PREFIX/bin  mesos-master, mesos-agent, mesos-containerizer (mesosd), a Python mesos-executor
# WITH_TLS=1 also takes OpenSSL 1.0.2q out of an old psycopg2-binary wheel, by which
# LIBPROCESS_SSL_ENABLED works. What it needs of Debian is in scripts/deps.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 1 ] || { echo "usage: install.sh PREFIX" >&2; exit 2; }
mkdir -p "$1/lib" "$1/bin"
prefix=$(cd "$1" && pwd)
work=$(mktemp -d "$prefix/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT

library_sha256=84d7ee9af27e912636b139de40257df1ee4f56c201de6bba834278aa1e8fd64c

is_library() {
	[ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$library_sha256" ]
}

# pip 24.1 and later refuse the version string 1.11.0.linux-x86_64.
need_pip() {
	[ ! -d "$work/venv" ] || return 0
	/usr/bin/python3 -m venv "$work/venv"
	"$work/venv/bin/pip" install -q --disable-pip-version-check 'pip==23.3.2'
}

# What comes is a bare archive: pip unpacks it, then says that it is no Python project.
fetch_library() {
	local found
	need_pip
	mkdir "$work/unpacked"
	TMPDIR=$work/unpacked "$work/venv/bin/pip" download -q --no-clean --no-deps --no-cache-dir \
		-d "$work/download" 'mesos-scheduler==1.11.0.linux-x86_64' >"$work/pip.log" 2>&1 || true
	found=$(find "$work/unpacked" -name _scheduler.so -print -quit)
	if ! is_library "$found"; then
		echo "install.sh: the library did not come, or is another one" >&2
		tail -n 5 "$work/pip.log" >&2
		exit 1
	fi
	mv "$found" "$prefix/lib/libmesos_real.so"
}

fetch_openssl() {
	local library
	need_pip
	"$work/venv/bin/pip" download -q --disable-pip-version-check --no-deps --only-binary :all: \
		--python-version 36 --implementation cp --abi cp36m --platform manylinux1_x86_64 \
		-d "$work/download" 'psycopg2-binary==2.7.7'
	mkdir "$work/openssl102"
	(cd "$work" && /usr/bin/python3 -m zipfile -e download/psycopg2*.whl wheel)
	find "$work/wheel" -path '*/.libs/*' -exec mv {} "$work/openssl102" \;
	for library in "$work/openssl102"/*; do
		patchelf --set-rpath "\$ORIGIN" "$library"
	done
	mv "$work/openssl102" "$prefix/lib/openssl102"
}

is_library "$prefix/lib/libmesos_real.so" || fetch_library
bash "$here/gen_stubs.sh" "$prefix/lib/libmesos_real.so" "$prefix/lib"
if [ -n "${WITH_TLS:-}" ] && [ ! -d "$prefix/lib/openssl102" ]; then
	fetch_openssl
fi
g++ -O1 -rdynamic -w -o "$prefix/bin/mesosd" "$here/mesosd.cpp" -ldl -Wl,--disable-new-dtags \
	-Wl,-rpath,"\$ORIGIN/../lib"
for name in mesos-master mesos-agent mesos-containerizer; do
	ln -sf mesosd "$prefix/bin/$name"
done
install -m 755 "$here/mesos-executor.py" "$prefix/bin/mesos-executor"
