#!/usr/bin/python3
"""At random moments the helper is killed, stopped for a while or told to read
its configuration, nginx reloads, with another spool too, a worker is killed, or
everything, and one of two logs has a disk that stalls or fails.  Then both logs
have every hit, once, and no hit was accepted twice.

BEACON_SEED gives the same moments again; what was done is printed."""

import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import Trial                  # noqa: E402
from beacon_rig import FaultDisk                # noqa: E402

seed()


SPOOLS = ['%%SPOOL%%' + which + ' size=1g min_free=0%' for which in ('', '-2')]


class Faults:
    """What may happen, each by its name."""

    def __init__(self, trial, disk):
        self.trial, self.env, self.disk = trial, trial.env, disk
        self.began = time.monotonic()
        self.kinds = [self.kill_helper, self.kill_helper, self.stop_helper,
                      self.hup_helper, self.reload, self.respool,
                      self.kill_worker, self.kill_manager, self.kill_all,
                      self.pause]
        if disk:
            self.kinds += [self.stall, self.stall, self.fail]

    def one(self, kinds=None):
        fault = random.choice(kinds or self.kinds)
        diag('%.2f %s' % (time.monotonic() - self.began, fault.__name__))
        tally(fault.__name__.replace('_', ' '))
        fault()

    def to_helper(self, signum):
        pids = self.env.helper_pids()
        if pids:
            self.env.kill(signum, random.choice(pids))
        return pids

    @staticmethod
    def pause():
        time.sleep(random.expovariate(1 / 0.5))

    def kill_helper(self):
        self.to_helper(signal.SIGKILL)

    def hup_helper(self):
        self.to_helper(signal.SIGHUP)

    def stop_helper(self):
        """And what comes meanwhile, its death too."""
        for pid in self.to_helper(signal.SIGSTOP):
            time.sleep(random.uniform(0, 1.5))
            self.one([self.kill_helper, self.kill_worker, self.reload,
                      self.respool, self.pause])
            self.env.kill(signal.SIGCONT, pid)

    def reload(self):
        self.env.kill(signal.SIGHUP)

    def respool(self):
        """One of two; the other may hold hits."""
        self.env.configure(spool=random.choice(SPOOLS))
        self.reload()

    def kill_all(self):
        """With its disk there: a start looks at it."""
        self.env.kill_everything()
        time.sleep(random.choice([0, random.uniform(0, 0.5)]))
        self.env.start(ready=False)
        self.trial.more()

    def kill_worker(self):
        pids = self.env.worker_pids()
        if pids:
            self.env.kill(signal.SIGKILL, random.choice(pids))

    def kill_manager(self):
        pid = self.env.manager_pid()
        if pid:
            self.env.kill(signal.SIGKILL, pid)

    def stall(self):
        """Nothing that the log asks of its disk comes back meanwhile."""
        self.disk.freeze()
        time.sleep(random.uniform(0, 2))
        self.one([self.kill_helper, self.stop_helper, self.reload,
                  self.respool, self.kill_worker, self.pause])
        self.disk.freeze(False)

    def fail(self):
        self.disk.fail(*random.sample(['write', 'short', 'fsync', 'open'], 2))
        time.sleep(random.uniform(0, 2))
        self.one([self.kill_helper, self.stop_helper, self.reload,
                  self.respool, self.stall])
        self.disk.repair()


def ids(env, pattern):
    return sorted(line['id'] for line in env.lines(pattern))


for _ in range(count(1, 100)):
    trial = Trial(ring_options='lane_size=512k',
                  spool=SPOOLS[0],
                  load={'rate': 1500, 'connections': 8}, log=[
                      '%%LOG%%/$beacon_site.jsonl sync=off',
                      '%%LOG%%2/all.jsonl name=slow sync=off'])
    env = trial.env
    env.allow('exited on signal 9')
    other = env.log + '2'
    os.makedirs(other)
    disk = FaultDisk(other, '-o', 'allow_other') if os.geteuid() == 0 else None
    if not disk or not disk.server:
        disk = None
        diag('no FUSE here: no log stalls')
    try:
        trial.start()
        faults = Faults(trial, disk)
        while time.monotonic() - faults.began < count(8, 16):
            time.sleep(random.expovariate(1 / 0.3))
            faults.one()
        status = trial.finish('whatever happens', drained=60)
        is_([(name, sink['lost'], sink['pending']) for name, sink
             in status['sinks'].items() if sink['lost'] or sink['pending']],
            [], 'nothing is lost, nothing is pending')
        is_(status['capture']['accepted'], len(set(ids(env, '*.jsonl'))),
            'and each hit was accepted once')
        all_of_them = ids(env, '*.jsonl')
        is_(len(set(all_of_them)), len(all_of_them), 'each hit is there once')
        ok(ids(env, '../log2/all.jsonl') == all_of_them,
           'and in the other log, too')
        env.finish()
    finally:
        if disk:
            disk.freeze(False)
            disk.remove()

done_testing()
