#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""millrace-supervisor with real millraced and real ZooKeeper: what is registered, what is started
again and what isn't, how it all ends, and that no trouble with ZooKeeper touches reception."""

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import time

import daemons
import rig
import sinks
import zookeeper
from rig import MILLRACE, PORT, RECEIVER4, RECEIVER6, expect, expect_equal, wait_until
from tasks import NODE, ROOT, SESSION, Cluster


def gone(pid):
    """Ended, whether or not somebody has waited for it."""
    return pid not in daemons.processes()


def sockets_of(pid):
    """Their inodes."""
    found = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            name = os.readlink(entry)
            if name.startswith("socket:["):
                found.add(name[len("socket:["):-1])
    return found


def sockets_to(cluster):
    """Inodes of the connections to ZooKeeper that there are at the receiver's end."""
    table = cluster.net.sh("rx", "cat", "/proc/net/tcp").stdout.splitlines()[1:]
    ports = {f"{port:04X}" for port in cluster.ensemble.ports.values()}
    found = {row.split()[9] for row in table if row.split()[2].split(":")[1] in ports}
    expect(found, "nobody is connected to ZooKeeper")
    return found


def cpus_of(pid):
    """Of each thread, those that it may use."""
    threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [os.sched_getaffinity(int(entry.name)) for entry in threads]


def what_is_registered_is_so(r):
    cluster = Cluster(r)
    task = cluster.task().start()
    live = cluster.wait_ok()
    partitions = task.get("/api/v1/partitions")
    expect_equal([(p["partition"], p["log_id"]) for p in live["partitions"]],
                 [(p["partition"], p["log_id"]) for p in partitions], "logs")
    expect_equal({name: live[name] for name in ("receiver", "task_id", "hostname", "pid", "restarts",
                                                "why", "socket", "listeners", "sinks")},
                 {"receiver": "r1", "task_id": "task-1", "hostname": "slave-1",
                  "pid": task.millraced(), "restarts": 0, "why": None, "socket": str(task.socket),
                  "listeners": [{"name": "sure", "kind": "reliable", "udp_port": PORT,
                                 "addresses": [RECEIVER4, RECEIVER6]},
                                {"name": "six", "kind": "plain", "udp_port": 5142,
                                 "addresses": [RECEIVER6]}],
                  "sinks": []}, "what is registered")
    expect(cluster.client.exists(NODE).ephemeral_owner != 0, "the node is not ephemeral")
    status = task.get("/api/v1/status")
    expect_equal((status["data_path"], status["pid"]), (str(task.data), live["pid"]), "of millraced")
    config = task.sandbox / "millraced.yaml"
    expect_equal(config.stat().st_mode & 0o777, 0o600, "mode of the configuration")
    expect_equal(task.get("/api/v1/ports")[0]["device"], "af_packet:rx0", "device")
    said = pathlib.Path(f"/proc/{live['pid']}/status").read_text()
    blocked = int(said.partition("SigBlk:")[2].split()[0], 16)
    expect_equal(blocked >> signal.SIGCHLD - 1 & 1, 0, "whether SIGCHLD is blocked")
    expect(1 not in set().union(*cpus_of(task.process.pid)), "the supervisor may use a lcore's CPU")
    expect({1} in cpus_of(live["pid"]), "no thread of millraced is a lcore")
    expect("not one that this process may use" not in task.log(), task.log_tail())
    with cluster.stream() as stream:
        stream.wait_more()
        cluster.wait_live(lambda live: int(live["partitions"][0]["durable_seq"]) > 100 and
                          live["load"]["events_per_second"] > 50 and
                          live["load"]["packets_per_second"] > 0 and
                          live["load"]["bytes_per_second"] > 5000, "the load was registered")
        versions = cluster.client.exists(NODE).version
        begin = time.monotonic()
        cluster.wait_live(lambda _: cluster.client.exists(NODE).version >= versions + 3, "it is kept")
        expect(time.monotonic() - begin > 4, "it is written more often than each 2 s")
    task.stop()


def what_starts_is_registered_and_can_be_ended(r):
    cluster = Cluster(r)
    go, slow = r.home / "go", r.home / "slow"
    slow.write_text(f'#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.02; done\n'
                    f'exec {rig.MILLRACED} "$@"\n')
    slow.chmod(0o755)
    for ends in (True, False):
        task = cluster.task(MILLRACED=str(slow)).start(wait=False)
        live = cluster.wait_live(lambda live: live["health"] == "starting", "it starts")
        expect_equal((live["pid"], live["partitions"]), (task.millraced(), []), "pid, partitions")
        if ends:
            task.stop()
            expect(cluster.client.exists(NODE) is None, "the node is still there")
    go.touch()
    before = cluster.wait_ok(pid=live["pid"])
    go.unlink()
    task.kill_millraced()
    live = cluster.wait_live(lambda live: live["health"] == "starting", "it starts again", 3)
    expect_equal((live["restarts"], live["pid"]), (1, task.millraced()), "restarts, pid")
    expect_equal(live["partitions"], before["partitions"], "partitions")
    go.touch()
    cluster.wait_ok(pid=live["pid"], seconds=3)
    task.stop()


def a_silent_millraced_is_said_to_have_failed(r):
    cluster = Cluster(r)
    task = cluster.task()
    task.config["sinks"] = [sinks.files_sink(str(r.home))]
    task.start()
    pid = cluster.wait_ok()["pid"]
    cluster.wait_live(lambda live: live["sinks"][0]["lag_batches"] == 0, "the sink had all")
    os.kill(pid, signal.SIGSTOP)
    live = cluster.wait_live(lambda live: live["health"] == "failed", "its silence was registered", 20)
    expect("its API doesn't answer" in live["why"] and len(live["partitions"]) == 1, live)
    expect_equal(live["sinks"], [{"sink": "archive", "lag_batches": None, "lag_events": None}],
                 "what is known of its sinks")
    os.kill(pid, signal.SIGCONT)
    cluster.wait_ok(pid=pid, restarts=0)
    task.stop()


def a_killed_millraced_is_started_again(r):
    cluster = Cluster(r)
    task = cluster.task().start()
    before = cluster.wait_ok(restarts=0)
    with cluster.stream() as stream:
        stream.wait_more()
        task.kill_millraced()
        stream.wait_more()
        after = cluster.wait_ok(restarts=1, seconds=3)
        expect(after["pid"] not in (before["pid"], None), "the pid is as before")
        expect_equal([p["log_id"] for p in after["partitions"]],
                     [p["log_id"] for p in before["partitions"]], "logs")
        expect(after["started_at"] > before["started_at"], "it is as old as before")
        expect(not sockets_of(after["pid"]) & sockets_to(cluster), "it has the supervisor's sockets")
    task.stop()


def the_fourth_end_within_a_minute_is_the_end(r):
    cluster = Cluster(r)
    task = cluster.task().start()
    for restarts in range(4):
        cluster.wait_ok(restarts=restarts)
        expect(task.running(), "the supervisor ended")
        task.kill_millraced()
    task.wait_end(1)
    expect("signal 9" in task.last_line() and "given up" in task.last_line(), task.last_line())
    expect(cluster.client.exists(NODE) is None, "the node is still there")


def sigterm_ends_all_in_good_order(r):
    cluster = Cluster(r)
    task = cluster.task().start()
    cluster.wait_ok()
    pid = task.millraced()
    task.stop()
    expect(gone(pid), "millraced runs")
    expect("ending" in task.log() and "durable up to seq" in task.log(), task.log_tail())
    expect(cluster.client.exists(NODE) is None, "the node is still there")
    expect("exit code 0" in task.last_line(), task.last_line())


def who_does_not_end_is_killed_after_the_grace(r):
    cluster = Cluster(r)
    task = cluster.task(GRACE_MS="1500").start()
    cluster.wait_ok()
    pid = task.millraced()
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    task.process.terminate()
    cluster.wait_live(lambda live: live["health"] == "failed" and "ended" in live["why"],
                      "it says so", 1.4)
    task.wait_end(1)
    took = time.monotonic() - begin
    expect(1.4 < took < 4 * rig.PATIENCE, f"it took {took:.1f} s")
    expect(gone(pid), "millraced runs")
    expect(cluster.client.exists(NODE) is None, "the node is still there")


def nothing_outlives_a_killed_supervisor(r):
    cluster = Cluster(r)
    task = cluster.task(SESSION_TIMEOUT_MS="6000").start()
    cluster.wait_ok()
    pid = task.millraced()
    killed = time.monotonic()
    task.kill()
    wait_until(lambda: gone(pid), "millraced had ended, too")
    with open(task.data / "lock") as lock:
        wait_until(lambda: locked(lock), "the data directory's lock was free", 20)
        fcntl.flock(lock, fcntl.LOCK_UN)
    expect(cluster.client.exists(NODE) is not None, "the node is gone at once")
    # The next task waits for the node, not for the receiver.
    following = cluster.task(TASK="task-2", LOG=str(task.data)).start()
    if time.monotonic() - killed < 4:
        expect_equal(cluster.live()["task_id"], "task-1", "task before the session ended")
        wait_until(lambda: "task task-1 on slave-1 holds it" in following.log(), "it says so")
    cluster.wait_ok(task_id="task-2")
    took = time.monotonic() - killed
    expect(took < 9 * rig.PATIENCE, f"it took {took:.1f} s")
    following.stop()


def the_next_one_waits_for_a_killed_ones_end(r):
    """The supervisor is killed, and its millraced takes a while to end: the log is not given up."""
    cluster = Cluster(r)
    task = cluster.task().start()
    cluster.wait_ok()
    pid = task.millraced()
    os.kill(pid, signal.SIGSTOP)
    task.kill()
    following = cluster.task(TASK="task-2", LOG=str(task.data)).start(wait=False)
    try:
        wait_until(lambda: "holds the lock" in following.log(), "it met the other one")
    finally:
        os.kill(pid, signal.SIGCONT)
    cluster.wait_ok(task_id="task-2")
    expect(gone(pid), "the other one runs")
    following.stop()


def locked(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def a_node_of_the_same_task_is_taken_over(r):
    """As of a session that this task lost; without waiting for its end."""
    cluster = Cluster(r, quiet=True)
    task = cluster.task().start()
    live = cluster.wait_ok()
    task.stop()
    other = cluster.ensemble.client(session=60.0)
    other.create(NODE, json.dumps(live), flags=zookeeper.EPHEMERAL)
    task.start()
    cluster.wait_ok(pid=task.millraced())
    # And one that somebody removes is made anew, though there is nothing new to say.
    versions = []

    def unchanged():
        time.sleep(0.3)
        versions.append(cluster.client.exists(NODE).version)
        return versions[-10:-1].count(versions[-1]) == 9

    wait_until(unchanged, "nothing changed")
    cluster.client.delete(NODE)
    cluster.wait_ok(pid=task.millraced())
    task.stop()


def zookeeper_away_is_nothing_to_reception(r):
    cluster = Cluster(r)
    task = cluster.task().start()
    cluster.wait_ok()
    pid = task.millraced()
    with cluster.stream() as stream:
        begin = stream.wait_more()
        # Silent for longer than the session. Whether it ends the session when it goes on, or hears
        # the client first, is chance.
        cluster.ensemble.pause(1)
        time.sleep(SESSION * 2)
        stream.wait_more()
        cluster.ensemble.resume(1)
        cluster.wait_kept()
        # The supervisor itself stopped: the session ends, and millraced is not touched by that either.
        owner = cluster.client.exists(NODE).ephemeral_owner
        task.process.send_signal(signal.SIGSTOP)
        cluster.wait_gone(SESSION * 3)
        stream.wait_more()
        task.process.send_signal(signal.SIGCONT)
        cluster.wait_ok()
        expect(cluster.client.exists(NODE).ephemeral_owner != owner, "the session is as before")
        cluster.ensemble.kill(1)
        time.sleep(SESSION * 2)
        stream.wait_more()
        cluster.ensemble.restart(1)
        cluster.ensemble.wait_ready()
        # It may have kept its session or not; millraced dies while nobody can be told, too.
        cluster.wait_ok(restarts=0)
        cluster.ensemble.kill(1)
        gap = stream.largest_gap(begin)
        expect(gap < 3.0 * rig.PATIENCE, f"{gap:.2f} s without an acknowledgement")
        task.kill_millraced()
        stream.wait_more()
        cluster.ensemble.restart(1)
        cluster.ensemble.wait_ready()
        cluster.wait_ok(restarts=1)
    expect(task.millraced() != pid, "it was not started again")
    # Without ZooKeeper it ends as well.
    cluster.ensemble.kill(1)
    task.stop()


def zookeeper_that_is_silent_does_not_hold_up_the_end(r):
    cluster = Cluster(r)
    task = cluster.task(SESSION_TIMEOUT_MS="20000").start()
    cluster.wait_ok()
    with cluster.stream() as stream:
        cluster.ensemble.pause(1)
        stream.wait_more()
        # What it has to write by then is on its way, and stays there.
        time.sleep(3)
        task.process.terminate()
        # Which takes as long as its writes do.
        wait_until(lambda: "exit code 0" in task.log(), "millraced had ended", 60)
        begin = time.monotonic()
        task.wait_end(0)
        took = time.monotonic() - begin
    expect(took < 4 * rig.PATIENCE, f"it took {took:.1f} s")
    expect("ZooKeeper doesn't answer" in task.last_line(), task.last_line())


def what_would_end_the_same_way_is_not_tried_again(r):
    cluster = Cluster(r)
    held = cluster.task()
    held.data.mkdir()
    with open(held.data / "lock", "w") as lock:
        expect(locked(lock), "the lock is held")
        begin = time.monotonic()
        held.start(wait=False).wait_end(5)
    expect("refused for safety" in held.last_line() and "not restarted" in held.last_line(),
           held.last_line())
    # So long another one may have been killed before this began.
    expect(9 < time.monotonic() - begin < 20 * rig.PATIENCE, f"tried for {time.monotonic() - begin:.1f} s")
    for environment, code, words in (
            ({"NICS": "rx0,rx1"}, 4, "2 NICs for 1 ports"),
            ({"NICS": "0000:03:00.0"}, 4, "can't take the place of 'af_packet:eth9'"),
            ({"LCORES": "1-x"}, 4, "is no list of numbers such as 0-3,8"),
            ({"ADDRESSES": "10.77.0.256/24"}, 4, "is no IPv4 or IPv6 address"),
            ({"LOG": "data"}, 2, "MILLRACE_LOG: 'data' is neither an absolute path nor VOLUME/NAME"),
            ({"LOG": "log/r1"}, 2, "there is no volume 'log' in the task's sandbox"),
            ({"ROOT": "millrace"}, 2, "MILLRACE_ROOT"),
            ({"CLOSED": "yes"}, 2, "MILLRACE_CLOSED: 'yes' is neither 1 nor empty"),
            ({"MILLRACED": "/no/such/millraced"}, 1, "can't start /no/such/millraced: No such file")):
        task = cluster.task(**environment)
        task.start(wait=False).wait_end(code)
        expect(words in task.last_line(), f"{environment}: {task.log()}")


def nodes_belong_to_who_has_the_password(r):
    cluster = Cluster(r)
    secret = r.home / "secret"
    secret.write_text("millrace:open sesame\n")
    task = cluster.task(ZOOKEEPER_AUTH=str(secret), ADDRESSES=f"{RECEIVER4}/24").start()
    live = cluster.wait_ok()
    expect_equal(live["listeners"][0]["addresses"], [RECEIVER4], "addresses")
    mine = [(zookeeper.ALL, "digest", zookeeper.digest("millrace:open sesame"))]
    expect_equal(cluster.client.acl(ROOT), mine, f"ACL of {ROOT}")
    for path in (f"{ROOT}/live", NODE):
        expect_equal(cluster.client.acl(path), mine + [(1, "world", "anyone")], f"ACL of {path}")
    with cluster.ensemble.client(auth=None) as stranger:
        expect_equal(stranger.children(f"{ROOT}/live"), [NODE.rpartition("/")[2]], "what a sender finds")
        stranger.get(NODE)
    task.stop()
    secret.write_text("millrace:another\n")
    task = cluster.task(ZOOKEEPER_AUTH=str(secret)).start()
    wait_until(lambda: "not registered: not authenticated" in task.log(), "it says so")
    expect_equal(task.get("/api/v1/status")["health"], "ok", "health of millraced")
    task.stop()


def a_closed_one_takes_nothing(r):
    """It only gives its log away: who sends to it is counted among those who may not."""
    cluster = Cluster(r)
    task = cluster.task(CLOSED="1").start()

    def denied():
        return task.drops().get("source_denied", 0)

    def send(*words):
        return cluster.net.sh("tx", MILLRACE, "send", *words, "--count", "100", "--rate", "1000", check=False)

    plain = send(f"[{RECEIVER6}]:5142")
    expect_equal(plain.returncode, 0, f"exit code of a sender that isn't answered: {plain.stderr}")
    wait_until(lambda: denied() > 0, "its packets were denied")
    before = denied()
    sure = send("--reliable", f"{RECEIVER4}:{PORT}", "--wait", "1s")
    expect_equal(sure.returncode, 1, f"exit code of one that waits for an answer: {sure.stderr}")
    expect(denied() > before, "its packets weren't denied")
    expect_equal(task.durable(), 0, "events that it took")
    task.stop()


def times_from_a_kill_to_the_next_acknowledgement(r):
    """Figures, not a verdict."""
    cluster = Cluster(r)
    took = []
    while len(took) < 10:
        task = cluster.task(LOG=str(r.home / "log")).start()
        with cluster.stream() as stream:
            for _ in range(3):
                stream.wait_more()
                begin = time.monotonic()
                task.kill_millraced()
                took.append(stream.wait_more() - begin)
        task.stop()
    took.sort()
    print("kill to acknowledgement, ms: " + " ".join(f"{1000 * seconds:.0f}" for seconds in took))


FIGURES = [times_from_a_kill_to_the_next_acknowledgement] if rig.RUN_ALL else []
rig.run(what_is_registered_is_so, what_starts_is_registered_and_can_be_ended,
        a_silent_millraced_is_said_to_have_failed, a_killed_millraced_is_started_again,
        the_fourth_end_within_a_minute_is_the_end, sigterm_ends_all_in_good_order,
        who_does_not_end_is_killed_after_the_grace, nothing_outlives_a_killed_supervisor,
        a_node_of_the_same_task_is_taken_over, zookeeper_away_is_nothing_to_reception,
        zookeeper_that_is_silent_does_not_hold_up_the_end,
        the_next_one_waits_for_a_killed_ones_end,
        what_would_end_the_same_way_is_not_tried_again, nodes_belong_to_who_has_the_password,
        a_closed_one_takes_nothing,
        *FIGURES)
