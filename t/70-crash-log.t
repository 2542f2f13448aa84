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

for point in points:
    rig = Rig(path='$beacon_site.log', lane='2m')
    rig.follow('s0.log')
    killed = 0
    for n in range(count(4, 100)):
        if point == 'log.recover':      # that there is a line to finish
            rig.start(BEACON_KILL_AT='log.mid_write:%d'
                      % random.randint(1, 30))
            rig.push(3000, wait=False, sites=3, rate=60000)
            ok(rig.died(), 'in the middle of a line') if n == 0 \
                else rig.died()
        before = rig.sink().get('done', 0)
        rig.start(BEACON_KILL_AT='%s:%d' % (point, random.randint(
            1, PASSES.get(point, 1))))
        rig.push(3000, wait=False, sites=3, rate=60000)
        if point == 'log.before_reopen':
            wait_until(lambda: rig.books().get('pid') == rig.helper.pid
                       and rig.sink().get('done', 0) > before, 5)
            rig.send(signal.SIGUSR1)
        if rig.died():
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
