#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""What a host does beside answering: it announces its addresses, keeps its next hops, and leaves
the rest of the traffic to the kernel by an exception device. The other side is a kernel."""

import json
import pathlib
import re
import socket
import subprocess
import threading

import frames
import rig
from rig import PORT, RECEIVER4, RECEIVER6, SENDER4, SENDER6, expect, expect_equal, sh, wait_until

TAP = "mill0"
ROUTED = "10.88.0.1"  # behind the sender, as a router


def neighbour(net, address):
    for entry in json.loads(net.sh("tx", "ip", "-j", "neigh", "show", address).stdout or "[]"):
        if "lladdr" in entry:
            return entry["lladdr"]
    return None


def counter(receiver, name):
    for row in receiver.get("/api/v1/stats"):
        if (row["subsystem"], row["name"]) == ("host", name):
            return row["value"]
    raise AssertionError(f"no counter {name}")


def port_config(**more):
    return {"ports": [{"device": "af_xdp:rx0", **more,
                       "addresses": [f"{RECEIVER4}/24", f"{RECEIVER6}/64"]}]}


def addresses_are_announced_at_the_start_and_when_the_link_comes_back(r):
    net = r.net()
    stale = "02:00:00:00:00:99"
    for address in (RECEIVER4, RECEIVER6):
        net.sh("tx", "ip", "neigh", "replace", address, "lladdr", stale, "dev", "src0", "nud",
               "stale")
    net.sh("tx", "sysctl", "-qw", "net.ipv4.conf.src0.arp_accept=1")
    receiver = r.receiver(net, **port_config()).start()
    mac = net.mac("rx", "rx0")
    # Both kernels' caches are told, not asked: nothing was sent to the receiver yet.
    for address in (RECEIVER4, RECEIVER6):
        wait_until(lambda a=address: neighbour(net, a) == mac, f"{address} was announced")
    wait_until(lambda: counter(receiver, "announcements") >= 2 + 3 + 3, "all were announced")
    net.sh("tx", "ip", "link", "set", "src0", "down")
    wait_until(lambda: not receiver.get("/api/v1/ports")[0]["link_up"], "the link was down")
    net.sh("tx", "ip", "link", "set", "src0", "up")
    net.sh("tx", "ip", "neigh", "replace", RECEIVER4, "lladdr", stale, "dev", "src0", "nud",
           "stale")
    wait_until(lambda: neighbour(net, RECEIVER4) == mac, "it was announced again")
    expect("link down" in receiver.log() and "link up" in receiver.log(), receiver.log())
    net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, PORT, input="still there")
    receiver.wait_durable(1)
    receiver.stop()


def a_witness_reads_what_is_announced(r):
    """tcpdump decodes the frames by itself."""
    net = r.net()
    receiver = r.receiver(net, **port_config())
    with net.witness("arp or icmp6") as text:
        receiver.start()
        mac = net.mac("rx", "rx0")
        wait_until(lambda: counter(receiver, "announcements") >= 2 + 3 + 3, "all were announced")
        wait_until(lambda: text().count(f"who-has {RECEIVER4} tell {RECEIVER4}") == 2,
                   "tcpdump saw both ARP announcements", 5)
        wait_until(lambda: text().count(f"neighbor advertisement, length 32, tgt is {RECEIVER6}") == 3,
                   "tcpdump saw three advertisements", 5)
        lines = [line for line in text().splitlines() if f"who-has {RECEIVER4}" in line]
        expect(all(f"{mac} > ff:ff:ff:ff:ff:ff" in line for line in lines), f"tcpdump: {lines}")
        expect("Flags [override]" in text(), f"tcpdump: {text()}")
        expect("bad" not in text() and "wrong" not in text(), f"tcpdump: {text()}")
    receiver.stop()


def the_own_device_goes_down_and_comes_back(device):
    def goes_on(r):
        net = r.net()
        config = port_config()
        config["ports"][0]["device"] = device
        receiver = r.receiver(net, **config).start()
        for events in range(1, 4):
            net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, PORT, input="an event")
            receiver.wait_durable(events)
            net.sh("rx", "ip", "link", "set", "rx0", "down")
            wait_until(lambda: not receiver.get("/api/v1/ports")[0]["link_up"], "it was down")
            expect_equal(receiver.get("/api/v1/status")["health"], "degraded", "health")
            net.sh("rx", "ip", "link", "set", "rx0", "up")
            wait_until(lambda: receiver.get("/api/v1/ports")[0]["link_up"], "it was up")
            net.sh("tx", "ping", "-c", "1", "-W", "5", RECEIVER4)
        receiver.at_rest()
        receiver.stop()
    goes_on.__name__ = f"the_own_device_goes_down_and_comes_back_by_{device.split(':')[0]}"
    return goes_on


def an_address_that_somebody_else_uses_is_told_and_defended(r):
    net = r.net()
    receiver = r.receiver(net, **port_config()).start()
    wait_until(lambda: counter(receiver, "announcements") >= 2 + 3 + 3, "all were announced")
    before = counter(receiver, "announcements")
    net.frame_socket().send(frames.arp_request(frames.mac("02:00:00:00:00:77"), RECEIVER4, RECEIVER4))
    wait_until(lambda: counter(receiver, "conflicts") == 1, "the conflict was counted")
    wait_until(lambda: counter(receiver, "announcements") == before + 1, "it was defended")
    expect(f"02:00:00:00:00:77 uses the address {RECEIVER4}" in receiver.log(), receiver.log())
    status = receiver.get("/api/v1/status")
    expect_equal(status["health"], "degraded", "health")
    expect("another host uses one of its addresses" in status["reasons"][0], str(status["reasons"]))
    receiver.at_rest()
    receiver.stop()


def gateways_are_resolved_and_answers_to_other_networks_go_there(r):
    net = r.net()
    net.sh("tx", "ip", "addr", "add", f"{ROUTED}/32", "dev", "lo")
    receiver = r.receiver(net, **port_config(gateways=["10.77.0.9", SENDER4, SENDER6])).start()

    def gateways():
        return {g["address"]: g for g in receiver.get("/api/v1/ports")[0]["gateways"]}

    mac = net.mac("tx", "src0")
    for address in (SENDER4, SENDER6):
        wait_until(lambda a=address: gateways()[a]["mac"] == mac, f"gateway {address} was found")
        expect_equal(gateways()[address]["state"], "reachable", f"state of {address}")
    wait_until(lambda: gateways()["10.77.0.9"]["state"] == "failed", "nobody is 10.77.0.9")
    table = receiver.cli("ports").stdout
    expect(re.search(rf"{SENDER4} +{mac} +reachable", table), table)
    # From another MAC, as the other of two routers would send it: the answer comes by the gateway.
    sock = net.frame_socket(everything=True)
    sock.settimeout(5 * rig.PATIENCE)
    echo = bytes.fromhex("0800f7fd00010001")
    sock.send(frames.ip4(frames.mac(net.mac("rx", "rx0")), frames.mac("02:00:00:00:00:55"), ROUTED,
                         RECEIVER4, socket.IPPROTO_ICMP, echo))
    while True:
        frame = sock.recv(2048)
        if frame[12:14] == b"\x08\x00" and frame[30:34] == socket.inet_aton(ROUTED):
            break
    expect_equal(frame[:6].hex(":"), mac, "where the answer went")
    receiver.stop()


def exchange_tcp(net, address, family):
    """A TCP connection to a service of the receiver's kernel, large enough for many segments."""
    with net.inside("rx"):
        listener = socket.create_server((address, 2222), family=family)
    text = b"what ssh would say " * 5000

    def serve():
        with listener.accept()[0] as peer:
            got = b""
            while len(got) < len(text):
                got += peer.recv(65536)
            peer.sendall(got)

    server = threading.Thread(target=serve)
    server.start()
    with net.inside("tx"):
        client = socket.create_connection((address, 2222), 10 * rig.PATIENCE)
    client.sendall(text)
    got = b""
    while len(got) < len(text):
        part = client.recv(65536)
        expect(part, f"the connection broke after {len(got)} bytes")
        got += part
    server.join()
    client.close()
    listener.close()
    expect_equal(got, text, "what came back")


def the_kernel_goes_on_by_the_exception_device(r):
    net = r.net()
    net.sh("rx", "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=0",
           "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.rx0.disable_ipv6=1")
    receiver = r.receiver(net, **port_config(exception=TAP)).start()
    expect_equal(receiver.get("/api/v1/ports")[0]["exception"], TAP, "exception device")
    expect_equal(net.mac("rx", TAP), net.mac("rx", "rx0"), "its MAC")
    exchange_tcp(net, RECEIVER4, socket.AF_INET)
    exchange_tcp(net, RECEIVER6, socket.AF_INET6)
    # The kernel finds neighbours by itself, and says of a port that nobody listens on.
    net.sh("rx", "ping", "-c", "1", "-W", "5", SENDER4)
    net.sh("rx", "ping", "-6", "-c", "1", "-W", "5", SENDER6)
    refused = net.udp_socket()
    refused.connect((RECEIVER4, PORT + 7))
    refused.settimeout(5 * rig.PATIENCE)
    refused.send(b"anybody?")
    try:
        refused.recv(1)
        raise AssertionError("somebody answered")
    except ConnectionRefusedError:
        pass
    # LLDP: neither IP nor ARP.
    with net.inside("rx"):
        lldp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88cc))
        lldp.bind((TAP, 0x88cc))
    lldp.settimeout(5 * rig.PATIENCE)
    beacon = bytes.fromhex("0180c200000e020000000001 88cc 0207 04".replace(" ", "")) + bytes(46)
    net.frame_socket().send(beacon)
    expect_equal(lldp.recv(2048), beacon, "LLDP frame")
    # Events still come to millraced, and to it alone.
    net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, PORT, input="an event")
    receiver.wait_durable(1)
    expect(counter(receiver, "kernel_packets") > 20, "counted as the kernel's")
    expect(counter(receiver, "from_kernel") > 20, "counted as from the kernel")
    receiver.at_rest()
    receiver.stop()
    left = net.sh("rx", "ip", "link", "show", "dev", TAP, check=False)
    expect(left.returncode != 0, f"the device was left behind: {left.stdout}")


def ssh_and_dhcp_go_on_by_the_exception_device(r):
    net = r.net()
    receiver = r.receiver(net, **port_config(exception=TAP)).start()
    server, key = r.home / "sshd_config", r.home / "key"
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    (r.home / "authorized").write_text((r.home / "key.pub").read_text())
    server.write_text(f"HostKey {key}\nAuthorizedKeysFile {r.home}/authorized\nStrictModes no\n"
                      f"UsePAM no\nPermitRootLogin yes\nPidFile none\nPort 2222\n")
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    r.popen(net.command("rx", "/usr/sbin/sshd", "-D", "-f", server))
    ssh = ["ssh", "-F", "none", "-i", key, "-p", 2222, "-o", "StrictHostKeyChecking=no", "-o",
           "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", f"root@{RECEIVER4}"]
    wait_until(lambda: net.sh("tx", *ssh, "true", check=False).returncode == 0, "ssh got in", 20)
    said = net.sh("tx", *ssh, "ip -br link show dev", TAP).stdout
    expect(TAP in said, f"ssh: {said}")
    leases = r.home / "udhcpd.conf"
    (r.home / "leases").touch()
    leases.write_text(f"start 10.77.0.50\nend 10.77.0.50\ninterface src0\n"
                      f"lease_file {r.home}/leases\npidfile {r.home}/udhcpd.pid\n"
                      f"option subnet 255.255.255.0\n")
    r.popen(net.command("tx", "udhcpd", "-f", leases), stderr=subprocess.DEVNULL)
    lease = net.sh("rx", "udhcpc", "-i", TAP, "-n", "-q", "-f", "-t", 10, "-T", 1, "-s", "/bin/true")
    expect("lease of 10.77.0.50 obtained" in lease.stdout + lease.stderr, str(lease))
    receiver.at_rest()
    receiver.stop()


def the_kernels_share_is_bounded(r):
    net = r.net()
    receiver = r.receiver(net, **port_config(exception=TAP, exception_rate=100)).start()
    account = net.send_events("--rate", 10000, "--count", 10000, port=PORT + 7)
    rest = receiver.at_rest(30)
    drops = receiver.drops()
    passed = rest["packets"]["taken"]
    expect(drops.get("host_rate", 0) > account["sent"] * 0.8, f"drops {drops}")
    expect(passed < 0.2 * account["sent"], f"{passed} passed of {account['sent']}")
    net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, PORT, input="an event")
    receiver.wait_durable(1)
    receiver.stop()


def an_exception_device_that_cannot_be_had_is_an_error_with_a_mend(r):
    net = r.net()
    receiver = r.receiver(net, **port_config(exception="rx0"))
    receiver.start(wait=False)
    expect_equal(receiver.process.wait(30 * rig.PATIENCE), 1, "exit code")
    expect("exception device rx0 can't be had" in receiver.log(), receiver.log())
    expect("mend:" in receiver.log(), receiver.log())


rig.run(addresses_are_announced_at_the_start_and_when_the_link_comes_back,
        a_witness_reads_what_is_announced, the_own_device_goes_down_and_comes_back("af_xdp:rx0"),
        the_own_device_goes_down_and_comes_back("af_packet:rx0"),
        an_address_that_somebody_else_uses_is_told_and_defended,
        gateways_are_resolved_and_answers_to_other_networks_go_there,
        the_kernel_goes_on_by_the_exception_device,
        ssh_and_dhcp_go_on_by_the_exception_device, the_kernels_share_is_bounded,
        an_exception_device_that_cannot_be_had_is_an_error_with_a_mend)
