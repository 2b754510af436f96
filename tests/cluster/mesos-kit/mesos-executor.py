#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Stands in for mesos-executor, the command executor: v1 executor API, one task, then exit.

Does LAUNCH of a command (shell or arguments) with its environment; KILL with its grace period
(SIGTERM, then SIGKILL, to the process group); SHUTDOWN; status updates, sent again after a
reconnection until they are acknowledged; the agent's restart when the framework checkpoints.
Does not: health checks, task groups, switching the user, images, a terminal.
"""

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

AGENT = os.environ["MESOS_AGENT_ENDPOINT"]
PATH = f"/{os.environ.get('MESOS_SLAVE_PID', 'slave(1)@').split('@')[0]}/api/v1/executor"
FRAMEWORK, EXECUTOR = os.environ["MESOS_FRAMEWORK_ID"], os.environ["MESOS_EXECUTOR_ID"]
CHECKPOINT = os.environ.get("MESOS_CHECKPOINT") == "1"
TERMINAL = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST")
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
# A longer name may end as a shorter one does.
UNITS = {"mins": 60, "secs": 1, "days": 86400, "hrs": 3600, "ns": 1e-9, "us": 1e-6, "ms": 1e-3}
KILL_GRACE = 3.0  # seconds, where the task does not say


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def seconds_of(name, default):
    """A duration in the environment, as stout writes it: 15mins, 500ms."""
    value = os.environ.get(name, "")
    for unit, factor in UNITS.items():
        if value.endswith(unit):
            return float(value[:-len(unit)]) * factor
    return default


def request(call, timeout):
    connection = http.client.HTTPConnection(AGENT, timeout=timeout)
    call.update(framework_id={"value": FRAMEWORK}, executor_id={"value": EXECUTOR})
    connection.request("POST", PATH, json.dumps(call), JSON)
    return connection, connection.getresponse()


def post(call):
    connection, reply = request(call, 10)
    said = reply.read()
    connection.close()
    if reply.status != 202:
        log("call", call["type"], "answered", reply.status, said[:300])


class Executor:
    def __init__(self):
        self.lock = threading.RLock()
        self.tasks, self.updates = {}, {}  # not acknowledged: by task id, by the update's uuid
        self.task = self.process = None
        self.killed, self.ended = threading.Event(), threading.Event()
        self.connected = threading.Event()

    def update(self, task_id, state, **more):
        status = {"task_id": task_id, "state": state, "source": "SOURCE_EXECUTOR",
                  "executor_id": {"value": EXECUTOR}, "timestamp": time.time(),
                  "uuid": base64.b64encode(uuid.uuid4().bytes).decode(), **more}
        with self.lock:
            self.updates[status["uuid"]] = {"status": status}
        log("update", state, more.get("message", ""))
        if self.connected.is_set():
            try:
                post({"type": "UPDATE", "update": {"status": status}})
            except OSError as failed:
                log("update is not sent yet:", failed)

    def launch(self, task):
        with self.lock:
            self.tasks[task["task_id"]["value"]] = task
        if self.task is not None:
            self.update(task["task_id"], "TASK_FAILED", message="one task only")
            return
        self.task = task
        self.update(task["task_id"], "TASK_STARTING")
        try:
            self.process = self.start(task["command"])
        except OSError as failed:
            self.update(task["task_id"], "TASK_FAILED", message=f"Failed to launch: {failed}",
                        reason="REASON_EXECUTOR_TERMINATED")
            return
        log("the command runs as", self.process.pid)
        self.update(task["task_id"], "TASK_RUNNING")
        threading.Thread(target=self.reap, daemon=True).start()

    def start(self, command):
        env = dict(os.environ, MESOS_TASK_ID=self.task["task_id"]["value"])
        for variable in command.get("environment", {}).get("variables", []):
            env[variable["name"]] = variable.get("value", "")
        if command.get("shell", True):
            words, program = ["/bin/sh", "-c", command["value"]], "/bin/sh"
        else:
            words, program = command.get("arguments") or [command["value"]], command["value"]
        return subprocess.Popen(words, executable=program, env=env, start_new_session=True)

    def reap(self):
        code = self.process.wait()
        message = f"Command exited with status {code}" if code >= 0 else \
            f"Command terminated with signal {signal.strsignal(-code)}"
        if self.killed.is_set():
            self.update(self.task["task_id"], "TASK_KILLED", message=message)
        elif code == 0:
            self.update(self.task["task_id"], "TASK_FINISHED", message=message)
        else:
            self.update(self.task["task_id"], "TASK_FAILED", message=message,
                        reason="REASON_COMMAND_EXECUTOR_FAILED")
        if not self.ended.wait(10):
            time.sleep(1)
        os._exit(0)

    def kill(self, policy=None):
        if self.process is None or self.killed.is_set():
            return
        self.killed.set()
        policy = policy or self.task.get("kill_policy") or {}
        grace = policy.get("grace_period", {}).get("nanoseconds")
        threading.Thread(target=self.end_process, daemon=True,
                         args=(KILL_GRACE if grace is None else int(grace) / 1e9,)).start()

    def end_process(self, grace):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def event(self, event):
        kind = event["type"]
        if kind != "HEARTBEAT":
            log("event", kind)
        if kind == "LAUNCH":
            self.launch(event["launch"]["task"])
        elif kind == "LAUNCH_GROUP":
            log("task groups are not done here")
        elif kind == "KILL":
            self.kill(event["kill"].get("kill_policy"))
        elif kind == "ACKNOWLEDGED":
            self.acknowledged(event["acknowledged"])
        elif kind == "SHUTDOWN":
            if self.process is None or self.process.poll() is not None:
                os._exit(0)
            self.kill()
        elif kind == "ERROR":
            log("error", event)

    def acknowledged(self, which):
        with self.lock:
            update = self.updates.pop(which["uuid"], None)
            self.tasks.pop(which["task_id"]["value"], None)
        if update and update["status"]["state"] in TERMINAL:
            self.ended.set()

    def stream(self):
        """Takes events until the agent ends the connection; False when it takes no subscription."""
        with self.lock:
            subscribe = {"unacknowledged_tasks": list(self.tasks.values()),
                         "unacknowledged_updates": list(self.updates.values())}
        connection, reply = request({"type": "SUBSCRIBE", "subscribe": subscribe}, None)
        try:
            if reply.status != 200:
                log("SUBSCRIBE answered", reply.status, reply.read()[:300])
                return False
            self.connected.set()
            # A killed agent ends in the middle of a chunk, or not.
            with contextlib.suppress(OSError, http.client.HTTPException):
                for event in records(reply):
                    self.event(event)
            return True
        finally:
            self.connected.clear()
            connection.close()

    def give_up(self):
        self.kill()
        time.sleep(4)
        os._exit(1)

    def run(self):
        deadline = time.time() + 10
        while True:
            try:
                if self.stream():
                    log("the agent is gone")
                    if not CHECKPOINT:
                        self.give_up()
                    deadline = time.time() + seconds_of("MESOS_RECOVERY_TIMEOUT", 900)
            except (OSError, http.client.HTTPException) as failed:
                log("agent:", failed)
            if time.time() > deadline:
                self.give_up()
            time.sleep(.3)


def records(reply):
    """RecordIO: a length in decimal digits, a newline, as many bytes."""
    data = b""
    while more := reply.read1(65536):
        data += more
        while b"\n" in data:
            length, rest = data.split(b"\n", 1)
            if len(rest) < int(length):
                break
            data = rest[int(length):]
            yield json.loads(rest[:int(length)])


if __name__ == "__main__":
    Executor().run()
