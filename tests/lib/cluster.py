# SPDX-License-Identifier: BSD-3-Clause
"""A whole cluster: slaves as namespaces, ZooKeeper, Mesos, and millrace-control, all real, and what is
asked of them. For tests whose fault is elsewhere the timeouts are short; what they shorten is said where
it is given."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import certificates
import daemons
import mesos
import rig
import slaves
import zookeeper
from rig import BUILD, MILLRACE, MILLRACED, expect, wait_until

CONTROL = BUILD / "control/millrace-control"
SUPERVISOR = BUILD / "control/supervisor/millrace-supervisor"
PORT = 5140
SESSION = 3  # seconds, of the control processes and supervisors

RECEIVER = {
    "memory": {"hugepages": False},
    "ports": [{"name": "wire", "device": "af_packet:eth9", "addresses": ["10.91.0.254/24"]}],
    "listeners": [{"name": "sure", "port": PORT, "kind": "reliable"}],
    "log": {"segment_size": "16MiB", "block_size": "256KiB", "queue_depth": 4},
}
SPEC = {
    "count": 2, "mem": "256MiB", "nics": 1, "log": {"attribute": "millrace_log"},
    "constraints": [["hostname", "UNIQUE"]], "unreachable_after": "20s", "backoff": "1s",
    "backoff_max": "4s", "healthy_after": "10s", "kill_grace": "10s",
}


class Control:
    """One millrace-control, in the core's namespace."""

    def __init__(self, of, number, **more):
        self.name, self.home = f"control{number}", of.home / f"control{number}"
        self.home.mkdir()
        self.socket = self.home / "sock"
        self.address = f"{slaves.CORE}:{daemons.free_ports(1, slaves.CORE, of.core)[0]}"
        self.config = {
            "name": self.name, "cluster": of.name, "socket": self.socket,
            "supervisor": SUPERVISOR,
            **({"api": {"listen": self.address, **of.api_options}} if of.api_options else {}),
            "zookeeper": {"servers": of.zookeeper.connect_string(),
                          "session_timeout": f"{SESSION}s", **of.zookeeper_options},
            "mesos": {"master": of.masters.url(), "failover_timeout": "1h",
                      **of.mesos_options},
            **more}
        path = self.home / "control.yaml"
        path.write_text("\n".join(rig.yaml_lines(self.config)) + "\n")
        self.daemon = daemons.Daemon([CONTROL, "-c", path], self.home / "control.log", of.core)

    def start(self):
        self.daemon.start()
        return self

    def text(self, path, method="GET", body=None):
        with contextlib.closing(rig.UnixConnection(self.socket, 40)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def request(self, method, path, body=None):
        status, text = self.text(path, method, body)
        return status, json.loads(text or "null")

    def get(self, what):
        """None when it doesn't answer, or not for itself."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            status, envelope = self.request("GET", f"/api/v1/cluster/{what}")
            return envelope["data"] if status == 200 else None
        return None

    def post(self, command, body=None, status=200):
        found, envelope = self.request("POST", f"/api/v1/cluster/{command}", body or {})
        expect(found == status, f"{command} {body}: {found} instead of {status}: {envelope}")
        return envelope["data"]

    def leads(self):
        if not self.daemon.answers():
            return False
        leader = self.get("leader")
        return bool(leader and leader["here"])

    def said(self, lines=40):
        return self.daemon.said(lines)


class Cluster:
    """A context. controls: how many processes; slaves: how many, each with an agent unless agents is
    less. mesos_tls: masters are spoken to by https. tokens: {role: secret}, with which the API is served
    over TCP, too, with the certificate of api_options."""

    def __init__(self, controls=1, servers=1, masters=1, slaves_count=3, master_flags=None,
                 zookeeper_auth=None, mesos_credentials=None, mesos_tls=False, tokens=None,
                 directory="/var/tmp"):
        self.counts = controls, servers, masters, slaves_count
        self.directory = directory
        self.master_flags = master_flags or {}
        self.zookeeper_auth, self.mesos_credentials = zookeeper_auth, mesos_credentials
        self.mesos_tls, self.tokens = mesos_tls, tokens
        self.zookeeper_options, self.mesos_options, self.api_options = {}, {}, {}
        self.name = f"t{os.getpid()}"
        self.root = f"/millrace/{self.name}"
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.build(stack)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def secret(self, name, text):
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def build(self, stack):
        controls, servers, masters, count = self.counts
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="millrace-", dir=self.directory))
        if not os.environ.get("MILLRACE_KEEP"):
            stack.callback(shutil.rmtree, self.home, ignore_errors=True)
        self.slaves = stack.enter_context(slaves.Slaves(count))
        self.core = self.slaves.core
        self.zookeeper = stack.enter_context(zookeeper.Ensemble(
            self.home / "zookeeper", servers, self.core, slaves.CORE))
        self.masters = stack.enter_context(mesos.Masters(
            self.home / "mesos", self.zookeeper, masters, self.core, slaves.CORE,
            credentials=self.mesos_credentials, tls=self.mesos_tls, flags=self.master_flags))
        if self.zookeeper_auth:
            self.zookeeper_options["auth"] = self.secret("zookeeper.auth", self.zookeeper_auth)
        if self.mesos_credentials:
            principal, secret = next(iter(self.mesos_credentials.items()))
            self.mesos_options.update(principal=principal,
                                      secret=self.secret("mesos.secret", secret))
        if self.mesos_tls:
            self.mesos_options["ca"] = self.masters.tls.ca
        if self.tokens:
            certificate, key = certificates.make(self.home, "api", slaves.CORE)
            self.api_options.update(
                certificate=certificate, key=key, tokens=self.secret("tokens", "".join(
                    f"{role} the-{role} {secret}\n" for role, secret in self.tokens.items())))
        self.agents = {slave.name: stack.enter_context(self.agent_of(slave)) for slave in self.slaves}
        self.controls = {}
        for number in range(1, controls + 1):
            control = Control(self, number)
            stack.callback(control.daemon.kill)
            self.controls[control.name] = control.start()

    def agent_of(self, slave):
        log = self.home / slave.name / "log"
        log.mkdir(parents=True)
        return mesos.Agent(
            self.home / slave.name / "agent", self.masters, slave.name, slave.netns, slave.address,
            resources=";lcores:[0-1];nics:{rx0}",
            attributes={"millrace_log": log, "millrace_addresses": f"{slave.receiver}/24",
                        "rack": f"rack{slave.number}"},
            env={"MILLRACE_MILLRACED": str(MILLRACED)})

    # What is asked.

    def leader(self):
        return next((c for c in self.controls.values() if c.leads()), None)

    def wait_leader(self, other_than=None, seconds=30):
        def leading():
            leader = self.leader()
            return leader if leader and leader is not other_than else None
        return wait_until(leading, "a millrace-control led", seconds)

    def get(self, what):
        """Of whoever leads, which on a busy machine is nobody for a moment."""
        def answer():
            leader = self.leader()
            data = leader.get(what) if leader else None
            return None if data is None else [data]  # what is empty is an answer, too
        return wait_until(answer, f"a millrace-control that leads told its {what}", 30)[0]

    def post(self, command, body=None, status=200):
        return self.wait_leader().post(command, body, status)

    def spec(self, receiver=None, **more):
        """Path of a file for `millrace cluster apply`."""
        config = self.home / "receiver.yaml"
        config.write_text("\n".join(rig.yaml_lines({**RECEIVER, **(receiver or {})})) + "\n")
        path = self.home / "cluster.yaml"
        keys = {**SPEC, "receiver": config, **more}
        constraints = keys.pop("constraints")
        path.write_text("\n".join(rig.yaml_lines(keys)) +
                        f"\nconstraints: {json.dumps(constraints)}\n")
        return path

    def cli(self, *words, check=True, control=None):
        control = control or self.wait_leader()
        return rig.sh("ip", "netns", "exec", self.core, MILLRACE, "--json", "cluster", *words,
                      "--control", control.socket, check=check)

    def apply(self, **more):
        done = self.cli("apply", self.spec(**more))
        return json.loads(done.stdout)["data"]

    def slave_of(self, row):
        """Where a receiver is."""
        return self.slaves[int(row["slave"].removeprefix("slave"))]

    def send(self, slave, count, rate, size=600):
        """A millrace send to the receiver of a slave, under way; account() waits for its end."""
        return subprocess.Popen(
            self.slaves.command(self.slaves.tx, MILLRACE, "--json", "send", "--reliable",
                                f"{slave.receiver}:{PORT}", "--wait", "300s", "--rate", rate,
                                "--count", count, "--size", size),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def account(process, seconds=300):
        out, err = process.communicate(timeout=seconds * rig.PATIENCE)
        expect(process.returncode == 0, f"millrace send ended with {process.returncode}: {err}")
        return json.loads(out)["data"]

    def receivers(self, **wanted):
        """{name: row} of those whose fields are as wanted."""
        found = {row["name"]: row for row in self.get("receivers")}
        return {name: row for name, row in found.items()
                if all(row[key] == value for key, value in wanted.items())}

    def running(self):
        """Those that run and are well, by their own registration."""
        return {name: row for name, row in self.receivers(state="running").items()
                if row["live"] and row["live"]["task_id"] == row["task_id"]
                and row["live"]["health"] == "ok"}

    def wait_running(self, count, seconds=60, but=()):
        """... as many as that, with other tasks than those."""
        def there():
            found = {name: row for name, row in self.running().items() if row["task_id"] not in but}
            return found if len(found) == count else None
        try:
            return wait_until(there, f"{count} receivers were running", seconds)
        except AssertionError as failed:
            raise AssertionError(f"{failed}; {self.tell()}") from None

    def events(self, *decisions):
        return [event for event in self.get("events")
                if not decisions or event["decision"] in decisions]

    def tell(self):
        """For a failure's message."""
        leader = self.leader()
        words = [f"receivers {leader and leader.get('receivers')}"]
        words += [f"--- {c.name}:\n{c.said()}" for c in self.controls.values()]
        for agent in self.agents.values():
            for path in sorted(agent.work.glob("agents/0/work/slaves/*/frameworks/*/executors/*/runs/*/stderr")):
                if not path.parent.is_symlink():
                    words.append(f"--- {agent.hostname} {path.parent.parent.parent.name}:\n"
                                 f"{path.read_text(errors='replace')[-1500:]}")
        return "\n".join(words)

    def pid_of(self, name, program):
        """Of a receiver's millraced or supervisor, which may be about to begin."""
        return wait_until(lambda: self.find_pid(name, program), f"{program} of {name} ran", 30)

    def find_pid(self, name, program):
        row = self.receivers().get(name)
        for pid in self.agents[row["slave"]].processes() if row and row["slave"] else ():
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == program[:15] and \
                        f"MILLRACE_TASK={row['task_id']}".encode() in \
                        pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    return pid
        return None


def run(c, *tests):
    """In turn, on one cluster; of those only that the command line names, but the first, on which the
    others build."""
    wanted = sys.argv[1:]
    c.wait_leader()
    for test in tests:
        if wanted and test.__name__ not in wanted and test is not tests[0]:
            continue
        began = time.monotonic()
        try:
            test(c)
        except Exception:
            print(c.tell(), flush=True)
            raise
        print(f"ok   {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
