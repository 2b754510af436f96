# SPDX-License-Identifier: BSD-3-Clause
"""What the guests of the lab are made of: a kernel and a QEMU, fetched once by package name, and a
root in memory that is put together anew from this machine's own programs and the build at hand.

The fetched parts stay in MILLRACE_LAB (/var/tmp/millrace-lab) for the next run.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess

import debs
import rig

LAB = pathlib.Path(os.environ.get("MILLRACE_LAB", "/var/tmp/millrace-lab"))
HERE = pathlib.Path(__file__).resolve().parent

# A newer one than Debian 12's has igb with its queues.
QEMU_PACKAGES = ["qemu-system-x86", "qemu-system-common", "qemu-system-data"]

MODULES = ["vfio-pci", "vfio_iommu_type1", "uio_pci_generic", "e1000e", "igb", "virtio_net",
           "virtio_pci", "virtio_blk", "virtio_console", "nvme", "ext4", "crc32c_generic", "tun",
           "8021q"]

PROGRAMS = """bash awk base64 basename cat chmod chown cut date dd dirname e2fsck env grep head hostname id
    ip kmod ln ls mkdir mkfs.ext4 mktemp mount mv nproc pgrep ping pkill prlimit ps readlink rm rmdir
    sed seq setpriv setsid sleep sort stat sync sysctl tail taskset touch tr truncate umount uname
    uniq wc""".split()
KMOD_NAMES = ["modprobe", "insmod", "rmmod", "lsmod", "depmod", "modinfo"]

# Of DPDK's drivers only those that a guest has devices for: under emulation each costs its loading.
DRIVERS = ["bus_pci", "bus_vdev", "mempool_ring", "net_af_packet", "net_af_xdp", "net_e1000",
           "net_null", "net_pcap", "net_ring", "net_virtio"]


def kernel_package():
    depends = rig.sh("apt-cache", "depends", "linux-image-amd64", check=False).stdout
    found = re.search(r"Depends: (linux-image-[0-9]\S*)", depends)
    return found[1] if found else "not-known-yet"


def kernel():
    """Directory of the kernel package that Debian's metapackage stands for, and its version."""
    name = kernel_package()
    if not (LAB / name).exists():
        # What older lists point at may be gone.
        debs.update()
        name = kernel_package()
    to, version = LAB / name, name.removeprefix("linux-image-")
    if not to.exists():
        debs.unpack([name], to)
    if not (to / "lib/modules" / version / "modules.dep").exists():
        rig.sh("depmod", "-b", to, version)
    return to, version


def backports():
    """Name of Debian's backports, and the options by which apt sees them: this machine's own
    source, of another suite."""
    state = LAB / "apt"
    (state / "lists/partial").mkdir(parents=True, exist_ok=True)
    release = dict(line.split("=", 1) for line in
                   pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = release["VERSION_CODENAME"]
    sources = state / "backports.sources"
    for path in [*pathlib.Path("/etc/apt").glob("sources.list.d/*.sources")]:
        for stanza in path.read_text().split("\n\n"):
            if re.search(rf"^Suites:.*\b{suite}(\s|$)", stanza, re.M):
                sources.write_text(re.sub(r"^Suites:.*$", f"Suites: {suite}-backports", stanza,
                                          flags=re.M) + "\n")
    for path in [pathlib.Path("/etc/apt/sources.list"),
                 *pathlib.Path("/etc/apt").glob("sources.list.d/*.list")]:
        line = path.exists() and re.search(rf"^deb (\[.*\] )?(\S+) {suite} main.*$",
                                           path.read_text(), re.M)
        if line and not sources.exists():
            sources = state / "backports.list"
            sources.write_text(f"deb {line[1] or ''}{line[2]} {suite}-backports main\n")
    return f"{suite}-backports", ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-",
            "-o", f"Dir::State::lists={state}/lists", "-o", "Dir::Cache::pkgcache=",
            "-o", "Dir::Cache::srcpkgcache="]


def qemu():
    """Directory of a QEMU from the backports. Libraries and firmware are those that Debian's own,
    which is installed, brought with it."""
    suite, options = backports()
    to = LAB / f"qemu-{suite}-{len(QEMU_PACKAGES)}"
    if not to.exists():
        debs.update(*options)
        debs.unpack([f"{name}/{suite}" for name in QEMU_PACKAGES], to, *options)
    return to


def needed_libraries(path):
    out = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    missing = re.search(r"(\S+) => not found", out)
    rig.expect(not missing, f"{path} needs {missing and missing[1]}, which isn't here")
    return set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", out, re.M))


class Root:
    """A tree of files that becomes the guest's root."""

    def __init__(self, top):
        self.top = pathlib.Path(top)
        self.seen, self.copies = set(), {}
        for name in ("proc", "sys", "dev", "run", "tmp", "var/lib", "mnt", "etc",
                     "usr/bin", "usr/sbin", "usr/lib", "root", "lab"):
            (self.top / name).mkdir(parents=True, exist_ok=True)
        for name, to in (("var/run", "/run"), ("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"),
                         ("lib64", "usr/lib64")):
            (self.top / name).symlink_to(to)
        (self.top / "usr/lib64").mkdir()

    def copy(self, source, to):
        real, to = os.path.realpath(source), self.top / str(to).lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        # One file under two names stays one: DPDK would set up a driver twice.
        if real in self.copies:
            to.symlink_to("/" + str(self.copies[real].relative_to(self.top)))
            return
        self.copies[real] = to
        shutil.copyfile(source, to)
        to.chmod(stat.S_IMODE(os.stat(source).st_mode) | 0o444)

    def add(self, path, to=None):
        """A file of this machine with the libraries that it needs."""
        if path in self.seen:
            return
        self.seen.add(path)
        where = str(to or path)
        for short in ("/bin/", "/sbin/", "/lib/", "/lib64/"):
            if where.startswith(short):
                where = "/usr" + where
        self.copy(path, where)
        for library in needed_libraries(path):
            self.add(library)

    def program(self, name):
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        rig.expect(path, f"no program {name} here for the guest")
        self.add(path)

    def modules(self, directory, version):
        wanted = rig.sh("modprobe", "-d", directory, "-S", version, "--show-depends", "-a",
                        *MODULES).stdout
        for path in set(re.findall(r"^insmod (\S+)", wanted, re.M)):
            self.copy(path, pathlib.Path("/usr") / pathlib.Path(path).relative_to(directory))
        lists = directory / "lib/modules" / version
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            self.copy(lists / name, f"/usr/lib/modules/{version}/{name}")
        rig.sh("depmod", "-b", self.top, version)

    def pack(self, out):
        """As an initramfs (cpio, not compressed: unpacking it under emulation would take longer)."""
        listing = subprocess.run(["find", ".", "-print0"], cwd=self.top, capture_output=True,
                                 check=True).stdout
        with open(out, "wb") as to:
            subprocess.run(["cpio", "--null", "-o", "-H", "newc", "--quiet"], input=listing, stdout=to,
                           cwd=self.top, check=True)


def build_root(top, out, more=()):
    """The root of all guests: programs, drivers, setup.sh, the build's millraced and millrace, and
    more programs, in /lab/bin too."""
    directory, version = kernel()
    root = Root(top)
    for name in PROGRAMS:
        root.program(name)
    for name in KMOD_NAMES:
        (root.top / "usr/sbin" / name).symlink_to("/usr/bin/kmod")
    (root.top / "usr/bin/sh").symlink_to("bash")
    plugins = next(pathlib.Path("/usr/lib/x86_64-linux-gnu/dpdk").glob("pmds-*"))
    for name in DRIVERS:
        for path in plugins.glob(f"librte_{name}.so.*"):
            root.add(str(path))
    for path in (rig.MILLRACED, rig.MILLRACE, *more):
        root.add(str(path), f"/lab/bin/{os.path.basename(path)}")
    shutil.copytree(rig.TREE / "scripts", root.top / "lab/scripts")
    root.modules(directory, version)
    (root.top / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n"
                                         "events:x:1000:1000::/tmp:/bin/bash\n")
    (root.top / "etc/group").write_text("root:x:0:\nevents:x:1000:\n")
    shutil.copy(HERE / "init", root.top / "init")
    (root.top / "init").chmod(0o755)
    root.pack(out)
    return directory / "boot" / f"vmlinuz-{version}"
