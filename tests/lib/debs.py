# SPDX-License-Identifier: BSD-3-Clause
"""Packages of Debian that a test runs without installing them."""

import shutil

import rig

APT = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]


def update(*apt):
    rig.sh(*APT, *apt, "update")


def unpack(names, to, *apt):
    """Unpacks packages below 'to', which is there only when all of it is."""
    debs = to.with_name(to.name + ".debs")
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir(parents=True)
    rig.sh(*APT, *apt, "download", *names, cwd=debs)
    partial = to.with_name(to.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for deb in debs.iterdir():
        rig.sh("dpkg-deb", "-x", deb, partial)
    shutil.rmtree(debs)
    partial.rename(to)
