# SPDX-License-Identifier: BSD-3-Clause
"""A Mesos master that does what a real one can't be made to do on demand: each answer, each way a
stream can stall, break or lie, and more offers than a cluster has.

    with MasterDouble() as master:
        master.next(refuse(503), redirect(other.address), accept())
        ...
        stream = master.stream()          # the living one, waited for
        stream.send({"type": "RESCIND", ...})
        master.wait_call("DECLINE")

What isn't scripted is done as a master does it: SUBSCRIBE is taken, the subscriber before it told that
it failed over, calls need their stream's id, tasks that are launched run, KILL ends them, RECONCILE
answers from the table of tasks.
"""

import base64
import collections
import contextlib
import itertools
import json
import socket
import ssl
import threading
import time
import uuid

from rig import expect, wait_until

INTERVAL = 0.2  # between heartbeats; a real master's is 15 s
TERMINAL = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_DROPPED",
            "TASK_GONE", "TASK_GONE_BY_OPERATOR")


def value(text):
    return {"value": text}


def frame(event):
    data = event if isinstance(event, bytes) else json.dumps(event).encode()
    return b"%d\n%s" % (len(data), data)


# --- answers to SUBSCRIBE, for MasterDouble.next(). Each is called as answer(master, client, call).

def refuse(status, text="", **headers):
    def answer(_master, client, _call):
        client.answer(status, text, headers)
    return answer


def redirect(address, form="//{}/api/v1/scheduler"):
    return refuse(307, Location=form.format(address))


def silent():
    """Takes the request and never answers."""
    return lambda _master, client, _call: client.wait_end()


def cut():
    """Closes the connection instead of answering."""
    return lambda _master, client, _call: client.close()


def accept(subscribed=True, interval=INTERVAL, heartbeats=True, raw=None, then=None):
    """The stream. subscribed False: with no event at all; raw: these bytes first; then(stream): after
    SUBSCRIBED was sent, before any heartbeat."""
    def answer(master, client, call):
        stream = Stream(master, client, call)
        if raw is not None:
            stream.send_bytes(raw)
        if subscribed:
            master.subscribe(stream, interval)
        if then is not None:
            then(stream)
        if heartbeats:
            threading.Thread(target=stream.beat, args=(interval,), daemon=True).start()
        client.wait_end()
        stream.ended.set()
    return answer


def error(text):
    """A stream whose first event is an ERROR, and its last."""
    def then(stream):
        stream.send({"type": "ERROR", "error": {"message": text}})
        stream.end()
    return accept(subscribed=False, heartbeats=False, then=then)


class Client:
    """One connection."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")
        self.lock = threading.Lock()

    def request(self):
        """(path, headers in lower case, body), or None at the end."""
        first = self.file.readline().split()
        if len(first) != 3:
            return None
        headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            if not line:
                return None
            key, _, text = line.decode("latin-1").partition(":")
            headers[key.lower()] = text.strip()
        body = self.file.read(int(headers.get("content-length", 0)))
        return first[1].decode(), headers, body

    def write(self, data):
        with self.lock:
            self.sock.sendall(data)

    def answer(self, status, text="", headers=None):
        lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(text.encode())}"]
        lines += [f"{key}: {of}" for key, of in (headers or {}).items()]
        self.write("\r\n".join([*lines, "", text]).encode())

    def wait_end(self):
        with contextlib.suppress(OSError):
            while self.file.read(1):
                pass

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class Stream:
    """What answers one SUBSCRIBE."""

    def __init__(self, master, client, call):
        self.master, self.client, self.call = master, client, call
        self.id = str(uuid.uuid4())
        self.framework_id = None
        self.ended = threading.Event()
        client.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\nMesos-Stream-Id: %s\r\n\r\n" % self.id.encode())

    def send_bytes(self, data):
        """As one chunk. Silently in vain when the client has gone."""
        try:
            self.client.write(b"%x\r\n%s\r\n" % (len(data), data))
        except OSError:
            self.ended.set()

    def send(self, event):
        self.send_bytes(frame(event))

    def send_slowly(self, event, piece=1, pause=0.001):
        data = frame(event)
        for at in range(0, len(data), piece):
            self.send_bytes(data[at:at + piece])
            time.sleep(pause)  # that is what this is about

    def beat(self, interval):
        while not self.ended.wait(interval):
            self.send({"type": "HEARTBEAT"})

    def end(self):
        """Orderly."""
        self.ended.set()
        with contextlib.suppress(OSError):
            self.client.write(b"0\r\n\r\n")
        self.client.close()

    def cut(self):
        self.ended.set()
        self.client.close()


class MasterDouble:
    """On 127.0.0.1. credentials: (principal, secret) that each request must show; tls: (certificate,
    key) files; port: a free one by default."""

    def __init__(self, port=0, credentials=None, tls=None):
        self.lock = threading.RLock()
        self.credentials = credentials
        self.script = collections.deque()
        self.call_status = {}       # by type: answer with that instead of 202
        self.call_delay = {}        # by type: seconds before it is answered
        self.requests = []          # SUBSCRIBE calls
        self.calls = []             # all others, with "stream" and "path" put in
        self.streams = []
        self.current = {}           # framework id: its stream
        self.removed = set()        # framework ids
        self.agents = {}            # id: fields of an offer
        self.offered = {}           # offer id: agent id
        self.tasks = {}             # id: {"agent_id", "state", "pending": updates}
        self.launch_states = ("TASK_STARTING", "TASK_RUNNING")
        self.auto_offer = False     # on SUBSCRIBE, REVIVE, DECLINE, and when a task ends
        self.offer_ids = itertools.count()
        self.closing = False
        self.clients = set()
        self.tls = None
        if tls is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """As if it were killed."""
        self.closing = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for client in list(self.clients):
            client.close()

    # --- what tests say and ask

    def next(self, *answers):
        """To the SUBSCRIBEs to come, one each; those after them are accepted."""
        with self.lock:
            self.script.extend(answers)

    def stream(self, count=1):
        """The last stream that got SUBSCRIBED, when there have been that many."""
        wait_until(lambda: len(self.streams) >= count, f"{count} streams")
        return self.streams[-1]

    def of_type(self, kind):
        with self.lock:
            return [call for call in self.calls if call["type"] == kind]

    def wait_call(self, kind, count=1):
        """The last of that type, when there have been that many."""
        wait_until(lambda: len(self.of_type(kind)) >= count, f"{count} calls of {kind}")
        return self.of_type(kind)[-1]

    def broadcast(self, event):
        with self.lock:
            for stream in self.current.values():
                stream.send(event)

    def add_agent(self, hostname, agent_id=None, attributes=(), resources=()):
        agent_id = agent_id or f"agent-{len(self.agents)}"
        self.agents[agent_id] = {
            "agent_id": value(agent_id), "hostname": hostname, "attributes": list(attributes),
            "resources": list(resources) or self.scalars(cpus=8, mem=16384, disk=100000)}
        return agent_id

    @staticmethod
    def scalars(**amounts):
        return [{"name": name, "type": "SCALAR", "scalar": {"value": amount},
                 "allocation_info": {"role": "*"}, "role": "*"} for name, amount in amounts.items()]

    def offer_all(self, framework_id=None):
        """One offer of each agent to the framework; their ids."""
        with self.lock:
            framework_id = framework_id or next(iter(self.current))
            ids, offers = [], []
            for agent_id, fields in self.agents.items():
                ids.append(f"offer-{next(self.offer_ids)}")
                self.offered[ids[-1]] = agent_id
                offers.append({"id": value(ids[-1]), "framework_id": value(framework_id),
                               "allocation_info": {"role": "*"}, **fields})
            if offers:
                self.current[framework_id].send({"type": "OFFERS", "offers": {"offers": offers}})
            return ids

    def set_state(self, task_id, state, **more):
        """A task comes into that state, and its framework is told."""
        with self.lock:
            task = self.tasks[task_id]
            task["state"] = state
            task["pending"].append({
                "task_id": value(task_id), "agent_id": value(task["agent_id"]), "state": state,
                "source": "SOURCE_EXECUTOR", "timestamp": time.time(),
                "uuid": base64.b64encode(uuid.uuid4().bytes).decode(), **more})
            if len(task["pending"]) == 1:
                self.tell(task["pending"][0])

    def flood(self, agents=1000, per_second=10000, seconds=10, in_event=100):
        """Offers at a steady rate to the last subscriber, of so many agents in turn; how many were sent."""
        stream = self.stream()
        mark = "00000000ROUND"
        events = []
        for first in range(0, agents, in_event):
            offers = [self.flood_offer(stream.framework_id, mark, n)
                      for n in range(first, min(first + in_event, agents))]
            data = json.dumps({"type": "OFFERS", "offers": {"offers": offers}}).encode()
            events.append((frame(data), len(offers)))
        sent, begin = 0, time.monotonic()
        for number in itertools.count():
            for data, count in events:
                ahead = sent / per_second - (time.monotonic() - begin)
                if ahead > 0:
                    time.sleep(ahead)
                if time.monotonic() - begin >= seconds or stream.ended.is_set():
                    return sent
                stream.send_bytes(data.replace(mark.encode(), b"%013d" % number))
                sent += count

    @staticmethod
    def flood_offer(framework_id, mark, number):
        return {"id": value(f"{mark}-O{number}"), "framework_id": value(framework_id),
                "agent_id": value(f"agent-S{number}"), "hostname": f"slave{number}.example",
                "allocation_info": {"role": "*"},
                "url": {"scheme": "http", "path": "/slave(1)", "query": [], "address": {
                    "hostname": f"slave{number}.example", "ip": "192.0.2.1", "port": 5051}},
                "attributes": [{"name": "rack", "type": "TEXT", "text": value(f"r{number % 40}")},
                               {"name": "millrace_log", "type": "TEXT", "text": value("/data")}],
                "resources": MasterDouble.scalars(cpus=32, mem=131072, disk=900000, hugepages=4096) + [
                    {"name": "lcores", "type": "RANGES", "role": "*",
                     "ranges": {"range": [{"begin": 2, "end": 31}]}},
                    {"name": "nics", "type": "SET", "role": "*",
                     "set": {"item": ["0000:3b:00.0", "0000:3b:00.1"]}}]}

    # --- the server

    def serve(self):
        while not self.closing:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve_client, args=(sock,), daemon=True).start()

    def serve_client(self, sock):
        with sock:
            try:
                client = Client(self.tls.wrap_socket(sock, server_side=True) if self.tls else sock)
            except OSError:
                return  # it doesn't trust us
            self.clients.add(client)
            with contextlib.suppress(OSError):
                for request in iter(client.request, None):
                    if self.closing:
                        break
                    self.serve_request(client, *request)
            self.clients.discard(client)
            client.close()

    def serve_request(self, client, path, headers, body):
        call = json.loads(body)
        expect(path == "/api/v1/scheduler", f"a call of {path}")
        if self.credentials is not None:
            shown = base64.b64encode(":".join(self.credentials).encode()).decode()
            if headers.get("authorization") != f"Basic {shown}":
                client.answer(401, "who are you?", {"WWW-Authenticate": 'Basic realm="mesos"'})
                return
        if call["type"] == "SUBSCRIBE":
            with self.lock:
                self.requests.append(call)
                answer = self.script.popleft() if self.script else accept()
            answer(self, client, call)
            return
        self.take_call(client, call, headers.get("mesos-stream-id"))

    def take_call(self, client, call, stream_id):
        kind = call["type"]
        if kind in self.call_delay:
            time.sleep(self.call_delay[kind])
        with self.lock:
            self.calls.append({**call, "stream": stream_id})
            status = self.call_status.get(kind, 202)
            stream = self.current.get(call["framework_id"]["value"])
            if status == 202 and (stream is None or stream.id != stream_id):
                status = 400
        client.answer(status, "" if status == 202 else f"{kind} is not taken")
        if status == 202:
            with self.lock:
                getattr(self, f"on_{kind.lower()}", lambda *_: None)(call, stream)

    # --- as a master does it

    def subscribe(self, stream, interval):
        info = stream.call["subscribe"]["framework_info"]
        with self.lock:
            framework_id = info.get("id", value(f"framework-{uuid.uuid4()}"))["value"]
            if framework_id in self.removed:
                stream.send({"type": "ERROR", "error": {"message": "Framework has been removed"}})
                stream.end()
                return
            before = self.current.get(framework_id)
            if before is not None and not before.ended.is_set():
                before.send({"type": "ERROR", "error": {"message": "Framework failed over"}})
                before.end()
            stream.framework_id = framework_id
            self.current[framework_id] = stream
            stream.send({"type": "SUBSCRIBED", "subscribed": {
                "framework_id": value(framework_id), "heartbeat_interval_seconds": interval,
                "master_info": {"id": "double", "ip": 16777343, "port": self.port}}})
            self.streams.append(stream)
            if self.auto_offer:
                self.offer_all(framework_id)

    def tell(self, status):
        for stream in self.current.values():
            stream.send({"type": "UPDATE", "update": {"status": status}})

    def on_accept(self, call, stream):
        body = call["accept"]
        agents = {self.offered.pop(offer["value"], None) for offer in body["offer_ids"]}
        launched = [task for operation in body["operations"] if operation["type"] == "LAUNCH"
                    for task in operation["launch"]["task_infos"]]
        for task in launched:
            task_id = task["task_id"]["value"]
            if None in agents:
                stream.send({"type": "UPDATE", "update": {"status": {
                    "task_id": value(task_id), "agent_id": task["agent_id"], "state": "TASK_DROPPED",
                    "source": "SOURCE_MASTER", "reason": "REASON_INVALID_OFFERS"}}})
                continue
            self.tasks[task_id] = {"agent_id": task["agent_id"]["value"], "state": "TASK_STAGING",
                                   "info": task, "pending": []}
            for state in self.launch_states:
                self.set_state(task_id, state)

    def on_acknowledge(self, call, _stream):
        body = call["acknowledge"]
        task_id = body["task_id"]["value"]
        task = self.tasks.get(task_id)
        if task is None or not task["pending"] or task["pending"][0]["uuid"] != body["uuid"]:
            return
        done = task["pending"].pop(0)
        if task["pending"]:
            self.tell(task["pending"][0])
        elif done["state"] in TERMINAL:
            del self.tasks[task_id]
            if self.auto_offer:
                self.offer_all()

    def on_kill(self, call, stream):
        task_id = call["kill"]["task_id"]["value"]
        if task_id in self.tasks:
            self.set_state(task_id, "TASK_KILLED")
        else:
            self.answer_reconcile(task_id, call["kill"].get("agent_id"), stream)

    def on_decline(self, call, _stream):
        for offer in call["decline"]["offer_ids"]:
            self.offered.pop(offer["value"], None)
        if self.auto_offer:
            wait = call["decline"].get("filters", {}).get("refuse_seconds", 5)
            again = threading.Timer(wait, self.offer_again, [call["framework_id"]["value"]])
            again.daemon = True
            again.start()

    def offer_again(self, framework_id):
        with self.lock, contextlib.suppress(KeyError):
            if not self.closing and not self.offered:
                self.offer_all(framework_id)

    def on_revive(self, call, _stream):
        if self.auto_offer:
            self.offer_all(call["framework_id"]["value"])

    def answer_reconcile(self, task_id, agent_id, stream):
        task = self.tasks.get(task_id)
        agent_id = value(task["agent_id"]) if task else agent_id
        stream.send({"type": "UPDATE", "update": {"status": {
            "task_id": value(task_id), "state": task["state"] if task else "TASK_UNKNOWN",
            "source": "SOURCE_MASTER", "reason": "REASON_RECONCILIATION",
            **({"agent_id": agent_id} if agent_id else {})}}})

    def on_reconcile(self, call, stream):
        tasks = call["reconcile"].get("tasks", [])
        if not tasks:
            tasks = [{"task_id": value(task_id)} for task_id in self.tasks]
        for task in tasks:
            self.answer_reconcile(task["task_id"]["value"], task.get("agent_id"), stream)
