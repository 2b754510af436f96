#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real Mesos masters and agents, on addresses of this machine or in network namespaces.

mesos.py fetch: installs Mesos, once for a checkout; whoever starts a master or an agent does so, too.

Masters are numbered from 1. Nothing of what they start stays: an agent's executors and tasks are
found by their environment.
"""

import base64
import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import uuid

import certificates
import daemons
import rig

KIT = rig.TREE / "tests/cluster/mesos-kit"
HOME = rig.TREE / ".venv/mesos"
STAMP = "installed"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}

# An agent that is stopped counts as lost after about 3 s; offers come after at most 0.2 s.
MASTER_FLAGS = {"allocation_interval": "200ms", "agent_ping_timeout": "1secs",
                "max_agent_ping_timeouts": 3, "zk_session_timeout": "2secs"}
AGENT_FLAGS = {"launcher": "posix", "isolation": "posix/cpu,posix/mem",
               "systemd_enable_support": "false", "registration_backoff_factor": "100ms",
               "executor_registration_timeout": "20secs"}
RESOURCES = "cpus:4;mem:2048;disk:1024;ports:[31000-31100]"

# It would send the library's own OpenSSL to another's certificates.
ENVIRONMENT = {"SSL_CERT_FILE": None, "SSL_CERT_DIR": None, "GLOG_logbufsecs": "0"}
CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"


class MesosError(Exception):
    pass


def kit_digest():
    digest = hashlib.sha256()
    for path in sorted(KIT.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def fetch():
    """Where Mesos is installed; done anew when the kit has changed."""
    wanted = kit_digest()
    HOME.parent.mkdir(exist_ok=True)
    with open(HOME.with_suffix(".lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = HOME / STAMP
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            done = subprocess.run(["bash", str(KIT / "install.sh"), str(HOME)],
                                  env=dict(os.environ, WITH_TLS="1"), capture_output=True, text=True,
                                  timeout=600, check=False)
            if done.returncode != 0:
                raise MesosError(f"install.sh: {done.stdout[-1000:]}{done.stderr[-1000:]}")
            stamp.write_text(wanted)
    return HOME


def program(name, flags):
    words = [f"--{key}={value}" for key, value in flags.items() if value is not None]
    return [fetch() / "bin" / name, *words]


class Tls:
    """A certificate for masters, by their address or their name: 'ca' is what clients trust. Mesos is
    told by the environment."""

    def __init__(self, directory, host):
        self.ca, self.key = certificates.make(directory, "master", host)

    def environment(self):
        """Agents, and executors, may do without: only who asks for TLS gets it."""
        return {f"LIBPROCESS_SSL_{name}": str(value) for name, value in {
            "ENABLED": "true", "SUPPORT_DOWNGRADE": "true", "CERT_FILE": self.ca,
            "KEY_FILE": self.key, "CIPHERS": CIPHERS, "VERIFY_SERVER_CERT": "false",
            "REQUIRE_CLIENT_CERT": "false", "ENABLE_TLS_V1_2": "true"}.items()}

    def context(self):
        """For the tests' own questions, which go to the address."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = False
        return context


def basic(principal, secret):
    """The header by which a framework says who it is."""
    return {"Authorization": "Basic " + base64.b64encode(f"{principal}:{secret}".encode()).decode()}


def connection(address, port, seconds=5.0, tls=None):
    """Of http.client; connects at the first request. tls: a Tls, or None."""
    seconds *= rig.PATIENCE
    if tls:
        return http.client.HTTPSConnection(address, port, timeout=seconds, context=tls.context())
    return http.client.HTTPConnection(address, port, timeout=seconds)


def ask(address, port, path, body=None, netns=None, tls=None, seconds=5.0):
    """(status, text) of a GET, or of a POST when there is a body (JSON)."""
    with daemons.within(netns), contextlib.closing(connection(address, port, seconds, tls)) as asking:
        asking.request("GET" if body is None else "POST", path,
                       None if body is None else json.dumps(body), JSON)
        reply = asking.getresponse()
        return reply.status, reply.read().decode()


class Masters(daemons.Group):
    """A context: what it started ends with it.

    zookeeper: an Ensemble, or None for one master that is alone. credentials: {principal: secret};
    frameworks must then authenticate, which the operator's calls need not. tls: True for masters that
    also speak TLS, by the certificate self.tls.ca. flags: more for mesos-master, or None to leave
    one out.
    """

    def __init__(self, directory, zookeeper=None, count=1, netns=None, address="127.0.0.1",
                 path="/mesos", credentials=None, tls=False, flags=None):
        if count > 1 and not zookeeper:
            raise ValueError("several masters need ZooKeeper")
        super().__init__()
        self.home, self.netns, self.address = pathlib.Path(directory), netns, address
        self.zookeeper, self.path, self.count = zookeeper, path, count
        self.home.mkdir(parents=True, exist_ok=True)
        self.credentials = credentials
        self.flags = flags or {}
        self.tls = Tls(self.home, self.flags.get("hostname", address)) if tls else None
        self.ports = {}

    def configure(self):
        flags = {"ip": self.address, "hostname": self.address, **MASTER_FLAGS}
        if self.zookeeper:
            # A log of 2 * quorum - 1 replicas makes itself. With two masters the quorum is one: the
            # other one's replica follows, but need not be waited for.
            flags.update(zk=self.zookeeper.url(self.path), quorum=(self.count + 1) // 2)
        if self.credentials:
            path = self.home / "credentials.json"
            path.write_text(json.dumps({"credentials": [
                {"principal": who, "secret": secret} for who, secret in self.credentials.items()]}))
            path.chmod(0o600)
            flags.update(authenticate_http_frameworks="true", http_framework_authenticators="basic",
                         credentials=path)
        ports = daemons.free_ports(self.count, self.address, self.netns)
        for n, port in enumerate(ports, 1):
            home = self.home / f"master{n}"
            home.mkdir()
            command = program("mesos-master", {**flags, "port": port, "work_dir": home, **self.flags})
            self.ports[n] = port
            self.daemons[n] = daemons.Daemon(
                command, self.home / f"master{n}.log", self.netns,
                {**ENVIRONMENT, **(self.tls.environment() if self.tls else {})})

    # What is asked.

    def hosts(self):
        """["host:port"], for a framework without ZooKeeper."""
        return [f"{self.address}:{port}" for port in self.ports.values()]

    def url(self):
        """What an agent is told: zk://…, or host:port."""
        return self.zookeeper.url(self.path) if self.zookeeper else self.hosts()[0]

    def ask(self, n, path, body=None, seconds=5.0):
        """(status, text) of one master."""
        return ask(self.address, self.ports[n], path, body, self.netns, self.tls, seconds)

    def leads(self, n):
        """It leads and has recovered its registry: others redirect (307), and one that recovers says
        503. (/metrics/snapshot, which tells too, lets itself be asked twice a second only.)"""
        if not self.daemons[n].answers():
            return False
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask(n, "/api/v1", {"type": "GET_MASTER"}, seconds=1.0)[0] == 200
        return False

    def leader(self):
        """The number of the master that leads; None while none does."""
        return next((n for n in self.daemons if self.leads(n)), None)

    def wait_leader(self, other_than=None, seconds=30):
        def leading():
            # One that has lost its leadership ends by itself.
            if not any(master.running() for master in self.daemons.values()):
                words = "\n".join(master.said() for master in self.daemons.values())
                raise AssertionError(f"no master runs:\n{words}")
            found = self.leader()
            return found if found != other_than else None

        return rig.wait_until(leading, "a master led", seconds)

    def votes(self, n):
        """It has recovered its replica of the registry's log. (It lets itself be asked this twice a
        second, and makes others wait.)"""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            status, text = self.ask(n, "/metrics/snapshot")
            return status == 200 and json.loads(text).get("registrar/log/recovered", 1.0) == 1.0
        return False

    def wait_ready(self, seconds=30):
        """A master leads, and each one that runs may be killed: a leader that dies before the others
        vote leaves them without a quorum, for good."""
        self.wait_leader(seconds=seconds)
        for n in [n for n, master in self.daemons.items() if master.answers()]:
            rig.wait_until(lambda n=n: self.votes(n), f"master {n} voted", seconds)

    def call(self, kind, **body):
        """One call of the operator API, to the leader; what it answers."""
        leader = self.leader()
        if leader is None:
            raise MesosError(f"{kind}: no master leads")
        status, text = self.ask(leader, "/api/v1", {"type": kind, **body})
        if status not in (200, 202):
            raise MesosError(f"{kind}: {status} {text[:300]}")
        return json.loads(text) if text else {}

    def state(self):
        return self.call("GET_STATE")["get_state"]

    def agents(self):
        """{hostname: what the master says of the agent that has it}, of those that are active."""
        listed = self.call("GET_AGENTS")["get_agents"].get("agents", [])
        return {agent["agent_info"]["hostname"]: agent for agent in listed if agent["active"]}

    def agent_ids(self):
        return {name: agent["agent_info"]["id"]["value"] for name, agent in self.agents().items()}

    def tasks(self):
        """{task id: task} of all that are not ended, unreachable ones too."""
        found = self.call("GET_TASKS")["get_tasks"]
        listed = [*found.get("pending_tasks", []), *found.get("tasks", []),
                  *found.get("unreachable_tasks", [])]
        return {task["task_id"]["value"]: task for task in listed}

    def ended_tasks(self):
        found = self.call("GET_TASKS")["get_tasks"]
        return {task["task_id"]["value"]: task for task in found.get("completed_tasks", [])}

    def task_state(self, task_id):
        """As TASK_RUNNING; None of a task that the master does not know."""
        task = {**self.ended_tasks(), **self.tasks()}.get(task_id)
        return task["state"] if task else None

    def frameworks(self):
        """{framework id: framework} of those that are not completed."""
        found = self.call("GET_FRAMEWORKS")["get_frameworks"].get("frameworks", [])
        return {each["framework_info"]["id"]["value"]: each for each in found}

    def completed_frameworks(self):
        found = self.call("GET_FRAMEWORKS")["get_frameworks"].get("completed_frameworks", [])
        return {each["framework_info"]["id"]["value"]: each for each in found}

    def mark_agent_gone(self, agent_id):
        self.call("MARK_AGENT_GONE", mark_agent_gone={"agent_id": {"value": agent_id}})

    def teardown(self, framework_id):
        self.call("TEARDOWN", teardown={"framework_id": {"value": framework_id}})

    def wait_agents(self, *hostnames, seconds=30):
        rig.wait_until(lambda: self.leader() and set(hostnames) <= set(self.agents()),
                       f"agents {hostnames} were registered", seconds)


class Agent:
    """A context: what it started ends with it, executors and tasks too.

    master: Masters, or what --master takes. resources: as Mesos' flag, after RESOURCES when it begins
    with ";". attributes: {name: value}. env: for tasks, besides PATH. flags: more for mesos-agent.
    """

    def __init__(self, directory, master, hostname, netns=None, address="127.0.0.1", port=None,
                 resources=RESOURCES, attributes=None, env=None, flags=None):
        self.home, self.netns, self.address = pathlib.Path(directory), netns, address
        self.master, self.hostname, self.port = master, hostname, port
        self.work = self.home / "work"
        self.home.mkdir(parents=True, exist_ok=True)
        self.resources = RESOURCES + resources if resources.startswith(";") else resources
        self.attributes, self.env, self.flags = attributes or {}, env or {}, flags or {}
        self.tag = uuid.uuid4().hex
        self.daemon = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.end)
            self.start()
            stack.pop_all()
        return self

    def __exit__(self, *_):
        self.end()

    def configure(self):
        tasks = {"PATH": os.environ["PATH"], **self.env, daemons.TAG: self.tag}
        master = self.master if isinstance(self.master, str) else self.master.url()
        if self.port is None:
            self.port = daemons.free_ports(1, self.address, self.netns)[0]
        flags = {
            "master": master, "ip": self.address, "port": self.port, "hostname": self.hostname,
            "work_dir": self.work, "runtime_dir": self.home / "run",
            "fetcher_cache_dir": self.home / "fetch", "launcher_dir": fetch() / "bin",
            "resources": self.resources, "executor_environment_variables": json.dumps(tasks),
            "attributes": ";".join(f"{k}:{v}" for k, v in self.attributes.items()) or None,
            **AGENT_FLAGS, **self.flags}
        tls = None if isinstance(self.master, str) else self.master.tls
        self.daemon = daemons.Daemon(
            program("mesos-agent", flags), self.home / "agent.log", self.netns,
            {**ENVIRONMENT, **(tls.environment() if tls else {}), daemons.TAG: self.tag})

    def start(self):
        """Also after kill() or stop(): with the same directory, so that tasks of frameworks which
        checkpoint are found again. Does not wait until it is registered."""
        if self.daemon is None:
            self.configure()
        self.daemon.start()

    def kill(self):
        """kill -9 of the agent alone; executors and tasks stay."""
        self.daemon.kill()

    def stop(self):
        """SIGTERM, by which it leaves tasks alone."""
        self.daemon.stop()

    def restart(self):
        self.kill()
        self.start()

    def pause(self):
        self.daemon.pause()

    def resume(self):
        self.daemon.resume()

    def end(self):
        """All of it: the slave is dead. May be started again, as a machine that was booted."""
        if self.daemon:
            self.daemon.kill()
        daemons.kill_tagged(self.tag)

    def forget(self):
        """Takes its directory away: started again, it is another agent."""
        shutil.rmtree(self.work, ignore_errors=True)

    def running(self):
        return self.daemon is not None and self.daemon.running()

    def processes(self):
        """Pids of the agent, its executors and tasks."""
        return daemons.tagged(self.tag)

    def state(self):
        status, text = ask(self.address, self.port, "/state", netns=self.netns)
        if status != 200:
            raise MesosError(f"state of {self.hostname}: {status} {text[:300]}")
        return json.loads(text)

    def sandbox(self, task_id):
        """Where the task's stdout and stderr are, of its latest run."""
        runs = f"agents/0/work/slaves/*/frameworks/*/executors/{task_id}/runs/latest"
        found = sorted(self.work.glob(runs), key=lambda path: path.stat().st_mtime)
        return found[-1].resolve() if found else None

    def said(self, task_id, name="stdout"):
        sandbox = self.sandbox(task_id)
        path = sandbox and sandbox / name
        return path.read_text(errors="replace") if path and path.exists() else ""


def main():
    if sys.argv[1:] != ["fetch"]:
        sys.exit(__doc__)
    try:
        fetch()
    except (MesosError, OSError, subprocess.SubprocessError) as failed:
        sys.exit(f"mesos.py: {failed}")


if __name__ == "__main__":
    main()
