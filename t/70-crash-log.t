#!/usr/bin/python3
"""The helper dies at each named point of the log, under load and with a
follower: each hit once, whole, in order, and shown once."""

import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

PASSES = {'log.before_write': 40, 'log.mid_write': 40, 'log.after_write': 40,
          'log.before_checkpoint': 4, 'log.after_checkpoint': 4}

seed()
points = [line.split('\t')[0] for line in
          tool('beacond', '--points').stdout.splitlines()
          if line.startswith('log.')]
ok(len(points) >= 8, 'beacond lists its points')



def until_dead(rig):
    """Hits as long as the helper has not come to its point; True: it has."""
    def dead():
        if all(pusher.poll() is not None for pusher in rig.pushers):
            rig.push(1000, wait=False, sites=3, rate=60000)
        return rig.helper.poll() is not None
    wait_until(dead, 30)
    return rig.died(0.1)


def reopen(rig):
    """USR1 to a helper that has a file open: what it recovers is done without
    one, and a dead helper's books are there until it has its own."""
    rig.push(1000, wait=False, sites=3, rate=60000)
    ok(wait_until(lambda: rig.books().get('pid') == rig.helper.pid
                  and rig.sink().get('files'), 30), 'a log file is open')
    rig.send(signal.SIGUSR1)


for point in points:
    rig = Rig(path='$beacon_site.log', lane='2m')
    rig.follow('s0.log')
    killed = 0
    for n in range(count(4, 100)):
        if point == 'log.recover':      # that there is a line to finish
            rig.start(BEACON_KILL_AT='log.mid_write:%d'
                      % random.randint(1, 30))
            ok(until_dead(rig), 'in the middle of a line')
        rig.start(BEACON_KILL_AT='%s:%d' % (point, random.randint(
            1, PASSES.get(point, 1))))
        if point == 'log.before_reopen':
            reopen(rig)
        if until_dead(rig):
            killed += 1
        else:
            rig.kill()
    is_(killed, count(4, 100), 'the helper dies at %s' % point)
    rig.start()
    ok(rig.pushed() and rig.wait(), 'the next one finishes')
    rig.check('deaths at %s lose, double and tear nothing' % point)
    doubled, lines = rig.unfollow()
    is_(doubled, 0, 'tail -F sees no line twice')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

# ---- anywhere

rig = Rig(path='$beacon_site.log', lane='2m', spool=True)
rig.follow('s0.log')
for n in range(count(30, 1000)):
    rig.start()
    if len(rig.pushers) < 3:
        rig.push(4000, wait=False, sites=3, rate=40000)
    time.sleep(random.random() * 0.15)
    rig.kill()
    rig.pushers = [p for p in rig.pushers if p.poll() is None]
rig.start()
ok(rig.pushed() and rig.wait(), 'hits are done after %d deaths' % count(30,
                                                                        1000))
rig.check('deaths anywhere lose, double and tear nothing')
is_(rig.unfollow()[0], 0, 'tail -F sees no line twice')
is_(rig.told('possible_duplicates', lambda n: n is not None), 0,
    'none is thought possible')
rig.stop()
rig.remove()

done_testing()
