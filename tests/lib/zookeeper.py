# SPDX-License-Identifier: BSD-3-Clause
"""A real ZooKeeper ensemble, one server or three, and a client for what tests ask of it.

Servers are numbered from 1. The client speaks the wire protocol itself: a JVM for each question
takes a second.
"""

import base64
import collections
import contextlib
import hashlib
import pathlib
import re
import socket
import struct
import time

import daemons
import rig

JARS = ["zookeeper", "slf4j-log4j12", "log4j-1.2"]  # all of the folder has five bindings for SLF4J
JAVA = ["java", "-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
        # A test kills processes and not machines: what the kernel has is safe.
        "-Dzookeeper.forceSync=no", "-Dzookeeper.jmx.log4j.disable=true",
        # A server that is stopped accepts connections by its kernel, and then says nothing.
        "-Dzookeeper.cnxTimeout=1000"]
SUPER = "super:for-the-tests"  # reads and writes whatever the access lists say

CONFIG = """\
dataDir={directory}/data
clientPort={port}
clientPortAddress={address}
tickTime={tick}
initLimit=20
syncLimit=4
maxSessionTimeout=60000
admin.enableServer=false
4lw.commands.whitelist=ruok,srvr,stat,mntr,cons,dump,wchs
"""
LOG4J = """\
log4j.rootLogger=INFO, OUT
log4j.appender.OUT=org.apache.log4j.ConsoleAppender
log4j.appender.OUT.layout=org.apache.log4j.PatternLayout
log4j.appender.OUT.layout.ConversionPattern=%d{ABSOLUTE} %p %c{1}: %m%n
"""


def digest(auth):
    """The id of "user:password" as access lists of the scheme digest have it."""
    hashed = base64.b64encode(hashlib.sha1(auth.encode()).digest()).decode()
    return f"{auth.split(':')[0]}:{hashed}"


class Ensemble(daemons.Group):
    """A context: what it started ends with it. 'tick' in milliseconds: sessions last at least two.
    The servers have the address in the namespace (None: our own), and ports that were free."""

    def __init__(self, directory, servers=3, netns=None, address="127.0.0.1", tick=500):
        super().__init__()
        self.home, self.netns, self.address = pathlib.Path(directory), netns, address
        self.tick = tick
        self.count = servers
        self.home.mkdir(parents=True, exist_ok=True)
        self.clients = contextlib.ExitStack()
        self.ports = {}

    def configure(self):
        count = self.count
        ports = daemons.free_ports(3 * count, self.address, self.netns)
        members = [f"server.{n}={self.address}:{ports[count + n - 1]}:{ports[2 * count + n - 1]}"
                   for n in range(1, count + 1)] if count > 1 else []
        for n in range(1, count + 1):
            home = self.home / f"zk{n}"
            (home / "data").mkdir(parents=True)
            (home / "data/myid").write_text(f"{n}\n")
            (home / "log4j.properties").write_text(LOG4J)
            (home / "zoo.cfg").write_text(CONFIG.format(
                directory=home, port=ports[n - 1], address=self.address, tick=self.tick)
                + "\n".join(members) + "\n")
            jars = ":".join([str(home), *(f"/usr/share/java/{name}.jar" for name in JARS)])
            command = [*JAVA, f"-Dzookeeper.DigestAuthenticationProvider.superDigest={digest(SUPER)}",
                       "-cp", jars, "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                       home / "zoo.cfg"]
            self.ports[n] = ports[n - 1]
            self.daemons[n] = daemons.Daemon(command, home / "server.log", self.netns)

    def end(self):
        self.clients.close()
        super().end()

    # Faults.

    def stop(self, *which):
        for n in which or self.daemons:
            self.daemons[n].stop()

    # What is asked.

    def hosts(self):
        return [(self.address, port) for port in self.ports.values()]

    def connect_string(self, path=""):
        return ",".join(f"{host}:{port}" for host, port in self.hosts()) + path

    def url(self, path):
        """As Mesos wants it: zk://host:port,…/path."""
        return f"zk://{self.connect_string(path)}"

    def word(self, n, command, seconds=1.0):
        """What server n answers to a four letter word; "" when it doesn't."""
        if not self.daemons[n].answers():
            return ""
        with contextlib.suppress(OSError), daemons.within(self.netns):
            with socket.create_connection((self.address, self.ports[n]), seconds) as asking:
                asking.sendall(command.encode())
                said = b""
                while more := asking.recv(65536):
                    said += more
                return said.decode()
        return ""

    def mode(self, n):
        """leader, follower or standalone; "" while it serves nobody."""
        found = re.search(r"^Mode: (\w+)", self.word(n, "srvr"), re.M)
        return found[1] if found else ""

    def leader(self):
        """The number of the server that leads; None while none says so."""
        return next((n for n in self.daemons if self.mode(n) in ("leader", "standalone")), None)

    def followers(self):
        return [n for n in self.daemons if self.mode(n) == "follower"]

    def ready(self):
        """All servers that run serve, and one leads."""
        asked = [n for n, server in self.daemons.items() if server.answers()]
        modes = [self.mode(n) for n in asked]
        return all(modes) and sum(mode in ("leader", "standalone") for mode in modes) == 1

    def wait_ready(self, seconds=30):
        def there():
            for n, server in self.daemons.items():
                if server.process is not None and server.process.poll() not in (None, -9, 143):
                    raise AssertionError(f"ZooKeeper server {n} ended:\n{server.said()}")
            return self.ready()

        rig.wait_until(there, "ZooKeeper was ready", seconds)

    def client(self, auth=SUPER, **options):
        """Closed with the ensemble. The default may do all."""
        return self.clients.enter_context(
            Client(self.hosts(), self.netns, auth=auth, **options))


# The wire.

Stat = collections.namedtuple(
    "Stat", "created modified ctime mtime version children_version acl_version ephemeral_owner "
            "length children last_child")
STAT = struct.Struct(">qqqqiiiqiiq")

CREATE, DELETE, EXISTS, GET, SET, GET_ACL, GET_CHILDREN, AUTH, CLOSE = 1, 2, 3, 4, 5, 6, 8, 100, -11
XID_AUTH = -4
EPHEMERAL, SEQUENTIAL = 1, 2
ALL = 31  # permissions
OPEN = [(ALL, "world", "anyone")]


class Error(Exception):
    NAMES = {-4: "connection loss", -101: "no node", -102: "no authentication", -103: "bad version",
             -108: "no children for ephemerals", -110: "node exists", -111: "not empty",
             -112: "session expired", -115: "authentication failed"}

    def __init__(self, code, path=""):
        super().__init__(f"{path}: {self.NAMES.get(code, code)}")
        self.code = code


class NoNode(Error):
    pass


class NodeExists(Error):
    pass


def error_of(code, path):
    return {-101: NoNode, -110: NodeExists}.get(code, Error)(code, path)


def pack_buffer(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def int(self):
        self.at += 4
        return struct.unpack_from(">i", self.data, self.at - 4)[0]

    def buffer(self):
        length = max(self.int(), 0)
        self.at += length
        return self.data[self.at - length:self.at]

    def text(self):
        return self.buffer().decode()

    def stat(self):
        self.at += STAT.size
        return Stat(*STAT.unpack_from(self.data, self.at - STAT.size))


class Client:
    """One session, made at the first question and anew when it was lost (there are no pings: what is
    ephemeral lives for 'session' seconds after the last question). 'auth' is "user:password" of the
    scheme digest. What fails for lack of a server is tried again for 'patience' seconds, so that a
    write may be done twice."""

    def __init__(self, hosts, netns=None, auth=None, session=30.0, patience=15.0):
        self.hosts, self.netns, self.auth = collections.deque(hosts), netns, auth
        self.session, self.patience = session, patience * rig.PATIENCE
        self.socket, self.xid = None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.socket:
            with contextlib.suppress(OSError, Error):
                self.ask(CLOSE, b"")
        self.drop()

    def drop(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def send(self, data):
        self.socket.sendall(struct.pack(">i", len(data)) + data)

    def receive(self):
        length = struct.unpack(">i", self.exactly(4))[0]
        return Reader(self.exactly(length))

    def exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return data

    def connect(self):
        self.hosts.rotate(-1)
        with daemons.within(self.netns):
            self.socket = socket.create_connection(self.hosts[0], 2.0)
        self.socket.settimeout(5.0)
        self.send(struct.pack(">iqiq", 0, 0, int(self.session * 1000), 0) + pack_buffer(bytes(16)) + b"\0")
        self.receive()
        if self.auth:
            self.ask(AUTH, struct.pack(">i", 0) + pack_buffer("digest") + pack_buffer(self.auth),
                     xid=XID_AUTH)

    def ask(self, kind, body, path="", xid=None):
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send(struct.pack(">ii", xid, kind) + body)
        reply = self.receive()
        answered, _, code = struct.unpack_from(">iqi", reply.data)
        reply.at = 16
        if answered != xid:
            raise ConnectionError(f"reply {answered} to request {xid}")
        if code:
            raise error_of(code, path)
        return reply

    def call(self, kind, path, body=b""):
        end = time.monotonic() + self.patience
        while True:
            try:
                if not self.socket:
                    self.connect()
                return self.ask(kind, pack_buffer(path) + body, path)
            except OSError:
                self.drop()
                if time.monotonic() > end:
                    raise Error(-4, path) from None
                time.sleep(0.05)
            except Error as failed:
                if failed.code not in (-4, -112):
                    raise
                self.drop()

    # What a test asks. Paths are whole; data is bytes, and may be given as text.

    def get(self, path):
        """(data, Stat); NoNode."""
        reply = self.call(GET, path, b"\0")
        return reply.buffer(), reply.stat()

    def data(self, path, otherwise=None):
        """The data alone; 'otherwise' when there is no such node."""
        try:
            return self.get(path)[0]
        except NoNode:
            return otherwise

    def exists(self, path):
        """Its Stat, or None."""
        try:
            return self.call(EXISTS, path, b"\0").stat()
        except NoNode:
            return None

    def children(self, path):
        """Their names, sorted; none of a node that isn't there."""
        try:
            reply = self.call(GET_CHILDREN, path, b"\0")
        except NoNode:
            return []
        return sorted(reply.text() for _ in range(max(reply.int(), 0)))

    def tree(self, path):
        """{path: data} of a node and all below it."""
        found = {path: self.data(path)}
        for name in self.children(path):
            found.update(self.tree(f"{path.rstrip('/')}/{name}"))
        return {path: data for path, data in found.items() if data is not None}

    def acl(self, path):
        """[(permissions, scheme, id)]"""
        reply = self.call(GET_ACL, path)
        return [(reply.int(), reply.text(), reply.text()) for _ in range(max(reply.int(), 0))]

    def create(self, path, data=b"", flags=0, acl=None, parents=False):
        """The path made, which SEQUENTIAL adds to. 'parents': those too that are not there."""
        if parents:
            for at in [i for i, c in enumerate(path) if c == "/" and i > 0]:
                with contextlib.suppress(NodeExists):
                    self.create(path[:at], b"", acl=acl)
        acl = acl or OPEN
        entries = b"".join(struct.pack(">i", permissions) + pack_buffer(scheme) + pack_buffer(who)
                           for permissions, scheme, who in acl)
        return self.call(CREATE, path, pack_buffer(data) + struct.pack(">i", len(acl)) + entries
                         + struct.pack(">i", flags)).text()

    def set(self, path, data, version=-1):
        return self.call(SET, path, pack_buffer(data) + struct.pack(">i", version)).stat()

    def delete(self, path, version=-1):
        self.call(DELETE, path, struct.pack(">i", version))

    def delete_tree(self, path):
        for name in self.children(path):
            self.delete_tree(f"{path.rstrip('/')}/{name}")
        with contextlib.suppress(NoNode):
            self.delete(path)
