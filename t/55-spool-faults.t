#!/usr/bin/python3
"""The spool's disk freezes: whoever needs it waits, the others go on; what
does not fit is lost to the one that waits alone, and counted."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_fault import RingFile
from beacon_rig import Rig

if os.geteuid() != 0:
    skip_all('mounting needs root')


class Two(Rig):
    """Two logs, of which "slow" is on a disk by FUSE, as the spool is."""

    def __init__(self, lane='1m', spool=True):
        super().__init__(spool=spool, lane=lane)
        self.other = os.path.join(self.top, 'slow')
        os.mkdir(self.other)
        self.sinks = [
            {'type': 'log', 'name': 'log', 'at': 'test:5', 'sync': 'off',
             'path': os.path.join(self.logs, 'all.jsonl')},
            {'type': 'log', 'name': 'slow', 'at': 'test:6', 'sync': 'off',
             'path': os.path.join(self.other, 'all.jsonl')}]
        self.disk = self.fault_fs(self.other)
        self.journal = self.fault_fs(self.spool) if spool else None
        if not self.disk or spool and not self.journal:
            skip_all('no FUSE here')

    def begin(self, count=100):
        """Both logs run, and have some hits."""
        self.start()
        self.push(count)
        ok(self.wait() and self.wait(name='slow'), 'both logs run')

    def lag(self, count, spooled=0):
        """The slow log's disk freezes: so much is in the spool for it, and
        the other log has no need of that."""
        self.disk.freeze()
        self.push(count)
        ok(wait_until(lambda: self.books()['spool'] > spooled)
           and self.wait(), 'one lags: spooling')

    def fill(self):
        """Hits until there is hardly room for more; none has to wait."""
        ring = RingFile(RingFile.all(self.ring)[0])
        while all(lane['tail'] - lane['reclaim'] < lane['size'] / 8 * 7
                  for lane in ring.headers()):
            self.push(100)

    def judge(self, what):
        """Both have what the books say, once, in order."""
        ok(wait_until(lambda: all(sink['pending'] == 0 for sink in
                                  self.books()['sinks'].values()), 60),
           '%s: it catches up after the thaw' % what)
        books = self.books()
        slow = books['sinks']['slow']
        is_(slow['done'] + slow['lost'], books['accepted'],
            'what the slow one has not is counted')
        self.check('%s: the other log has every hit once' % what)
        self.logs, self.other = self.other, self.logs
        is_(self.faults(lost=True), [], 'nothing is torn or doubled')
        is_(self.found, slow['done'], 'and the slow one what it says')
        self.logs, self.other = self.other, self.logs
        return slow


# ---- frozen while it is written

rig = Two()
rig.begin(1000)
rig.lag(4000)
rig.journal.freeze()
ok(rig.push(10000), 'a spool that is frozen holds up no worker for long')
ok(rig.wait(), 'nor another log')
ok(wait_until(lambda: rig.sink('slow')['lost'] > 0), 'the slow one loses')
rig.says(r'"slow" lost \d+ hits', 'which is logged')
rig.journal.freeze(False)
rig.disk.freeze(False)
slow = rig.judge('frozen in a write')
ok(slow['done'] >= 3000, 'the oldest are kept')
rig.push(1000)
ok(rig.wait() and wait_until(lambda: rig.sink('slow')['pending'] == 0),
   'both go on')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- frozen while it is read

rig = Two()
rig.begin()
rig.lag(30000, spooled=10000000)
rig.journal.freeze()
rig.disk.freeze(False)
ok(rig.push(10000), 'a sink that is stuck in reading it holds up no worker')
ok(rig.wait(), 'nor another log')
ok(wait_until(lambda: rig.sink('slow')['lost'] > 0), 'it loses')
rig.journal.freeze(False)
slow = rig.judge('frozen in a read')
ok(slow['done'] > 25000, 'the oldest are kept')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- the helper is stopped meanwhile

rig = Two()
rig.begin()
rig.lag(2000)
rig.journal.freeze()
began = time.monotonic()
rig.fill()
ok(rig.wait(), 'the spool freezes, the lane fills, another has it all')
rig.send(signal.SIGSTOP)
awake = time.monotonic() - began
time.sleep(6)                   # more than a spool that is stuck is given
began = time.monotonic()
rig.send(signal.SIGCONT)
time.sleep(0.5)                 # turns of the keeper's
rig.journal.freeze(False)
rig.disk.freeze(False)
awake = max(awake, time.monotonic() - began)
slow = rig.judge('stopped meanwhile')
if slow['lost'] and awake > 4:  # of the 5 s
    skip('a machine so slow that it does lose')
else:
    is_(slow['lost'], 0, 'the time that it was stopped counts for nothing')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- the helper dies meanwhile

rig = Two()
rig.begin()
rig.lag(6000, spooled=1000000)
rig.journal.freeze()
rig.push(3000)
rig.wait()
rig.send(9)
rig.disk.freeze(False)          # what is stuck in a disk cannot die
rig.journal.freeze(False)
ok(rig.died(), 'the helper is killed')
rig.start()
rig.judge('killed meanwhile')
rig.stop()
rig.remove()

# ---- the ring fills while there is no helper, and one lacks most of it

rig = Two(lane='2m', spool=False)
rig.begin()
rig.disk.freeze()
rig.push(2000)
ok(rig.wait(), 'one goes on while the other is frozen')
rig.send(9)
rig.disk.freeze(False)
ok(rig.died(), 'the helper is killed')
rig.fill()
began = time.monotonic()
rig.start()
lost = wait_until(lambda: rig.sink('slow')['lost'], 0.2, 0.01)
ok(not lost or time.monotonic() - began > 0.25,
   'one that has just begun loses nothing for a while')
rig.judge('filled meanwhile')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- it fails; the lane has room for a log that had to wait for its turn

rig = Two(lane='4m')
rig.begin()
rig.disk.freeze()
rig.journal.fail('fsync')
ok(rig.push(5000) and rig.wait(), 'a spool that cannot sync stops nobody')
rig.journal.repair()
rig.journal.fail('write', 'open')
ok(rig.push(5000) and rig.wait(), 'nor one that cannot be written')
rig.says('cannot write to the spool', 'which is logged')
rig.disk.freeze(False)
rig.journal.repair()
rig.journal.fail('read')
rig.wait()                      # in need of nothing that is in it
ok(rig.push(1500, rate=1500) and rig.wait(), 'nor one that cannot be read')
rig.journal.repair()
rig.judge('input and output errors')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- it failed the last time: a log that was refused then, and needed nothing
# of it in the end, is not refused the next time

rig = Rig(spool=True, lane='1m', lanes=4)
rig.sinks = [{'type': 'log', 'name': 'log', 'at': 'test:5', 'sync': 'off',
              'path': os.path.join(rig.logs, 'all.jsonl')},
             {'type': 'ids', 'name': 'ids', 'at': 'test:6',
              'path': os.path.join(rig.top, 'ids')}]
journal = rig.fault_fs(rig.spool)
rig.start()
rig.up()                # hits that wait before would be a reason to spool
rig.push(100)
ok(rig.wait(), 'a log runs')
journal.fail('write', 'open')
os.rename(rig.logs, rig.logs + '.away')
ok(wait_until(lambda: rig.push(10) and 'open()' in rig.error_text()),
   'it is refused')
rig.push(1200)          # 0.63 of the lane: from a half on it lags; seven
                        # eighths, where it would lose, are 1,668
ok(wait_until(lambda: 'cannot write to the spool' in rig.error_text()),
   'it lags, and cannot be spooled for')
os.rename(rig.logs + '.away', rig.logs)
ok(rig.wait() and wait_until(lambda: 'not spooling' in rig.error_text()),
   'it catches up from the ring')
journal.repair()
os.rename(rig.logs, rig.logs + '.away')
rig.push(5000)
ok(rig.wait(name='ids'), 'it lags again, by more than a lane')
os.rename(rig.logs + '.away', rig.logs)
ok(rig.wait(), 'and catches up')
rig.check('it has every hit once')
is_(rig.sink()['lost'], 0, 'nothing is lost while the spool has room')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

done_testing()
