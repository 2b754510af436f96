# SPDX-License-Identifier: BSD-3-Clause
"""Events under way through a whole cluster to Kafka while by a seed's dice everything in it is killed; at
the end Kafka has everything that was sent, once."""

import contextlib
import itertools
import json
import os
import random
import signal
import time

import checker
import cluster
import feeders
import logread
import mesos
import sinks
import watchers
from cluster import PORT, SESSION
from rig import expect, expect_equal, wait_until

SIZE = 600
FIXED, MOVING = 800, 400  # events per second of a sender
FAULTS = ["controller_killed", "controller_stopped", "master_killed", "server_killed", "agent_killed",
          "slave_killed", "receiver_killed", "supervisor_killed", "broker_killed", "wire_cut"]
MOVES_AFTER = 10  # seconds: a sender goes to its next receiver
# A master outlives an election of the ensemble.
MASTERS = {"zk_session_timeout": "6secs"}
WELL = 90  # seconds, at most, from the end of a fault


def plan_of(dice, times):
    """Each of the faults so often, in an order of the dice."""
    plan = FAULTS * times
    dice.shuffle(plan)
    return plan


class Campaign:
    def __init__(self, c, brokers, seed, plan):
        self.c, self.brokers = c, brokers
        self.seed, self.dice, self.plan = seed, random.Random(seed), plan
        self.stack = contextlib.ExitStack()
        self.excused = {}  # {receiver: [(begin, end)]} in which nothing may come to it
        self.history = {}  # {id: decision}
        self.well = {}  # rows of the receivers when all was well
        self.figures, self.times = [], []

    # The start.

    def __enter__(self):
        c = self.c
        c.slaves.join_kafka(self.brokers)
        c.wait_leader()
        c.masters.wait_agents(*c.agents)
        c.apply(receiver={"sinks": [sinks.kafka_sink(self.brokers)],
                          "log": {**cluster.RECEIVER["log"], **sinks.LOG}})
        self.rows = c.wait_running(2)
        self.names = sorted(self.rows)
        self.excused = {name: [] for name in self.names}
        self.framework = c.get("status")["mesos"]["framework_id"]
        # Each is away once before the other one is twice: then what moves surely moves.
        self.movers = itertools.cycle(self.dice.sample(self.names, 2))
        self.senders = [self.stack.enter_context(contextlib.closing(sender)) for sender in
                        self.start_senders()]
        sockets = {name: row["live"]["socket"] for name, row in self.rows.items()}
        self.launches = self.stack.enter_context(watchers.Launches(c.root))
        self.positions = self.stack.enter_context(watchers.Positions(sockets))
        self.disk = self.stack.enter_context(watchers.Disk(c.home))
        self.wait_well(time.monotonic())
        self.tops = {name: self.stack.enter_context(watchers.Top(name, socket))
                     for name, socket in sockets.items()}
        self.log_ids = self.logs()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start_senders(self):
        """One for each receiver, which waits for it, and two that move when it is away for long."""
        there = [f"{self.slave(name).receiver}:{PORT}" for name in self.names]
        return [self.sender("one", [there[0]], FIXED), self.sender("other", [there[1]], FIXED),
                self.sender("moving", there, MOVING), self.sender("back", there[::-1], MOVING)]

    def sender(self, name, receivers, rate):
        return feeders.Feeder(f"{name} {self.seed}", self.c.slaves.command(self.c.slaves.tx),
                              ["--reliable", ",".join(receivers)], rate, SIZE, self.c.home / f"{name}.log")

    def slave(self, name):
        return self.c.slave_of(self.rows[name])

    def agent(self, name):
        return self.c.agents[self.rows[name]["slave"]]

    # What goes wrong. Each returns the receivers that cannot be reached meanwhile.

    def a_while(self, least=0.0, most=4.0):
        time.sleep(self.dice.uniform(least, most))

    def controller_killed(self):
        leader = self.c.wait_leader()
        leader.daemon.kill()
        self.a_while(most=2 * SESSION)
        leader.start()
        return []

    def controller_stopped(self):
        """Beyond its session. What it must do is there before, or comes while another leads."""
        stopped, victims = self.c.wait_leader(), []
        before = stopped.said(1000).count("leads no more")
        when = self.dice.choice(["before", "meanwhile", "never"])
        if when == "before":
            victims = self.supervisor_killed()
            self.a_while(most=1)
        stopped.daemon.pause()
        try:
            other = self.c.wait_leader(other_than=stopped, seconds=6 * SESSION)
            if when == "meanwhile":
                victims = self.supervisor_killed()
            self.a_while(most=2)
        finally:
            stopped.daemon.resume()
        wait_until(lambda: stopped.said(1000).count("leads no more") > before,
                   "the stopped one saw that it leads no more", 6 * SESSION)
        # What it shows follows what it says.
        wait_until(lambda: self.leaders() == [other.name], f"{other.name} alone led", 2)
        return victims

    def master_killed(self):
        leader = self.c.masters.leader()
        self.c.masters.kill(leader)
        self.a_while()
        self.c.masters.restart(leader)
        return []

    def server_killed(self):
        victim = self.dice.choice([1, 2, 3, self.c.zookeeper.leader()])
        self.c.zookeeper.kill(victim)
        self.a_while()
        self.c.zookeeper.restart(victim)
        self.c.zookeeper.wait_ready()
        return []

    def agent_killed(self):
        """It alone; what it started goes on."""
        agent = self.c.agents[self.dice.choice(sorted(self.c.agents))]
        agent.kill()
        self.a_while(most=6)  # it counts as lost after three
        agent.start()
        return []

    def slave_killed(self):
        """With all that runs there, for so long that senders move."""
        name = next(self.movers)
        self.agent(name).end()
        self.a_while(MOVES_AFTER + 1, MOVES_AFTER + 3)
        self.agent(name).start()
        return [name]

    def wire_cut(self):
        """The receiver goes on, and what it acknowledges gets lost: senders move."""
        name = next(self.movers)
        self.c.slaves.wire(self.slave(name), False)
        self.a_while(MOVES_AFTER + 1, MOVES_AFTER + 3)
        self.c.slaves.wire(self.slave(name), True)
        return [name]

    def kill_program(self, program):
        name = self.dice.choice(self.names)
        os.kill(self.c.pid_of(name, program), signal.SIGKILL)
        return [name]

    def receiver_killed(self):
        return self.kill_program("millraced")

    def supervisor_killed(self):
        return self.kill_program("millrace-supervisor")

    def broker_killed(self):
        broker = self.dice.choice(self.brokers.brokers)
        broker.kill()
        self.a_while()
        broker.start()
        self.brokers.wait_ready()
        return []

    # What must be so.

    def leaders(self):
        return [control.name for control in self.c.controls.values() if control.leads()]

    def logs(self):
        return {name: [partition["log_id"] for partition in row["live"]["partitions"]]
                for name, row in self.well.items()}

    def is_well(self, since):
        c = self.c
        for control in c.controls.values():
            expect(control.daemon.running(), f"{control.name} ended:\n{control.said()}")
        c.masters.restart()  # one that loses its ensemble ends, and whoever looks after it starts it
        if not c.leader() or c.cli("status", check=False).returncode != 0:
            return False
        self.well = c.running()
        if sorted(self.well) != self.names or not self.positions.gone_on(since):
            return False
        tasks = {row["task_id"] for row in c.receivers().values()}
        with contextlib.suppress(mesos.MesosError, OSError):
            return set(c.masters.agents()) == set(c.agents) and set(c.masters.tasks()) == tasks
        return False

    def wait_well(self, since):
        try:
            wait_until(lambda: self.is_well(since), "all was well", WELL)
        except AssertionError as failed:
            raise AssertionError(f"{failed}: {self.tell()}") from None

    def tell(self):
        c = self.c
        status = c.cli("status", check=False) if c.leader() else None
        return (f"status {status and status.stdout}; positions {self.positions.last}; "
                f"Mesos' leader {c.masters.leader()}; {c.tell()}")

    def check_now(self):
        """What no fault may change."""
        c = self.c
        expect_equal(c.get("status")["mesos"]["framework_id"], self.framework, "framework")
        expect_equal(list(c.masters.frameworks()), [self.framework], "frameworks that Mesos knows")
        expect_equal(self.logs(), self.log_ids, "log_ids of the receivers")
        expect_equal({name: row["slave"] for name, row in self.well.items()},
                     {name: row["slave"] for name, row in self.rows.items()}, "slaves of the receivers")
        expect(len(self.leaders()) <= 1, f"{self.leaders()} lead")
        expect(not self.launches.wrong, f"{len(self.launches.wrong)} times: {self.launches.wrong[:3]}")
        for watcher in (self.launches, self.positions, self.disk, *self.tops.values()):
            watcher.expect_well()
        self.take_history()

    def take_history(self):
        for event in self.c.events():
            expect_equal(self.history.setdefault(event["id"], event), event, "a decision told before")

    def check_history(self):
        self.take_history()
        expect_equal(sorted(self.history), list(range(1, max(self.history) + 1)), "ids of decisions")
        launches = dict.fromkeys(self.names, 0)
        why = {}
        for event in (self.history[number] for number in sorted(self.history)):
            name = event["receiver"]
            if event["decision"] == "launch":
                expect(event["reason"] and name in why, f"launched without a reason: {event}, after {why}")
                launches[name] = launches.get(name, 0) + 1
                del why[name]
            elif event["decision"] in ("add", "relaunch", "damp"):
                expect(event["reason"], f"a decision without a reason: {event}")
                why[name] = event
        expect_equal(sorted(launches), self.names, "receivers that were launched")
        for name, tasks in self.launches.tasks.items():
            # One may have been launched where it could not begin.
            expect(len(tasks) <= launches[name], f"{name}: {launches[name]} launches are in the history, and "
                   f"these ran: {tasks}")
        return launches

    # The run.

    def fault(self, number, kind):
        begin = time.monotonic()
        victims = getattr(self, kind)()
        healed = time.monotonic()
        self.wait_well(healed)
        end = time.monotonic()
        for name in victims:
            self.excused[name].append((begin, end))
        self.check_now()
        gaps = self.positions.gaps(begin, end)
        self.figures.append((kind, max(gaps.values()), end - begin, end - healed))
        self.times.append(f"{kind} {begin:.1f} to {end:.1f}")
        print(f"{number:3} {kind:18} {' '.join(victims):3} gaps "
              f"{' '.join(f'{gap:5.2f}' for gap in gaps.values())} s, well after {end - begin:5.2f} s, "
              f"{end - healed:5.2f} s from its end", flush=True)

    def wait_tops(self):
        """A look of each that begins now."""
        begin = time.monotonic()
        wait_until(lambda: all(top.samples and top.samples[-1].begin > begin for top in self.tops.values()),
                   "top was asked", 30)

    def run(self):
        self.wait_tops()
        for number, kind in enumerate(self.plan):
            self.a_while(0, 1.5)
            try:
                self.fault(number, kind)
            except AssertionError as failed:
                raise AssertionError(f"fault {number}, {kind}: {failed}") from None
        self.wait_tops()
        self.end()

    def end(self):
        for top in self.tops.values():  # while it still comes to every receiver
            top.end()
        for sender in self.senders:
            sender.end()
        self.accounts = [sender.account() for sender in self.senders]
        for row in self.rows.values():
            sinks.wait_delivered(watchers.Api(row["live"]["socket"]), 120)
        self.check_now()
        self.check_history()
        self.c.cli("scale", "0")
        wait_until(lambda: not self.c.receivers(), "all receivers had ended", 60)
        wait_until(lambda: not self.c.masters.tasks(), "Mesos had no task", 30)
        expect_equal(watchers.receivers_processes(self.c.root), [], "processes of receivers that are no more")

    # What came of it.

    def check(self):
        for name, top in self.tops.items():
            excused = self.excused[name] + self.disk.slow
            print(f"top of {name}: packets/s in all of {top.check(excused)} samples, {len(top.samples)} in all")
        sent = checker.Sent()
        for account in self.accounts:
            sent.add_account(account, SIZE)
        found = checker.read_kafka(self.brokers, "out-", seconds=120)
        [verdict] = checker.expect_equal(sent, found)
        print(verdict)
        self.check_moves(found)

    def check_moves(self, found):
        """Only of sources that moved is anything twice, and then what a receiver has reported."""
        openings = [opening for row in self.rows.values() for opening in logread.read_openings(row["log_path"])]
        reported = {}
        for opening in openings:
            expect((opening.source, opening.epoch) not in reported, f"opened twice: {opening}")
            if opening.prev_epoch:
                reported[opening.source, opening.epoch] = opening.prev_seq
        wrong = checker.unreported(found, reported)
        expect(not wrong, f"{len(wrong)} events are in several epochs without a handover: {wrong[:5]}")
        for account in self.accounts:
            source = int(account["source"])
            handovers = [key for key in reported if key[0] == source]
            expect(len(handovers) >= account["epochs"], f"{account} moved, and the logs have {handovers}")
            expect(account["moves"] > 0 or not handovers, f"{account} never moved, and logs have {handovers}")
        for account in self.accounts[:2]:
            expect_equal((account["moves"], account["epochs"]), (0, 0), "moves of a sender with one receiver")
        moves = sum(account["moves"] for account in self.accounts)
        if "slave_killed" in self.plan or "wire_cut" in self.plan:
            expect(moves > 0, "no source has moved")
        print(f"{sum(a['sent'] for a in self.accounts)} events sent, {moves} moves, {len(reported)} handovers")

    def story(self):
        """For a failure's message."""
        lines = [f"slow disk: {self.disk.slow}", *self.times]
        lines += [f"{event['time'][11:23]} {event['decision']} {event['receiver']} {event['slave']}: "
                  f"{event['reason']}" for event in self.history.values()]
        return "\n".join(lines)

    def summary(self):
        print(f"slow disk: {self.disk.slow}")
        for kind in sorted({kind for kind, *_ in self.figures}):
            rows = [row[1:] for row in self.figures if row[0] == kind]
            gap, whole, healing = (max(column) for column in zip(*rows))
            print(f"{kind:18} {len(rows)} times: at most {gap:.2f} s without durable events, {whole:.2f} s until "
                  f"all was well, {healing:.2f} s of it after the fault's end")


def nothing_is_left(c, tags):
    for tag in tags:
        expect_equal(cluster.daemons.tagged(tag), set(), "processes that are left")
    expect_equal(watchers.receivers_processes(c.root), [], "receivers that are left")


def run(brokers, seed, plan, **counts):
    """Runs it, and says the seed where it fails."""
    c = cluster.Cluster(controls=3, servers=3, slaves_count=3, master_flags=MASTERS,
                        zookeeper_auth="millrace:campaign", **counts)
    campaign = None
    try:
        with c:
            with Campaign(c, brokers, seed, plan) as campaign:
                campaign.run()
                campaign.check()
                campaign.summary()
            tags = [agent.tag for agent in c.agents.values()]
        nothing_is_left(c, tags)
    except Exception as failed:
        print(f"{c.home}: seed {seed}; {campaign and campaign.story()}", flush=True)
        raise AssertionError(f"seed {seed}: {failed}") from failed
