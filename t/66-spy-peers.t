#!/usr/bin/python3
"""The spy feed with peers who want little, or send what they should not: what
they cost is bounded, and others do not notice."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_spy import Subscriber
from beacon_spy_rig import MB, SpyRig

# ---- one that wants a rare site, and does not read

rig = SpyRig()
sub = rig.subscribe()
rig.sleeper(2, 'hit/s7/')
marks = []
for _ in range(20):                     # it is cut off when silent for 15 s
    rig.push(4000, sites=40, rate=12000)
    rig.known(sub, 60)
    marks.append([rig.sink('spy').get(key, 0)
                  for key in ('queued', 'queued_bytes')])
ok(rig.known(sub), 'beside one that wants a fortieth, and does not read')
ok(max(marks)[0] > 100, 'its hits are queued')
is_([mark for mark in marks if mark[1] > mark[0] * 1500 + 200000], [],
    'and they alone take memory')
diag('%d queued, %.1f MB' % (max(marks)[0], max(marks)[1] / MB))
rig.rest()
rig.end()

# ---- a flood of sites, and then quiet

SITES = 5000
rig = SpyRig()
sub = rig.subscribe()
rig.push(SITES, wait=False, sites=SITES, size=0, rate=20000)
ok(rig.known(sub), 'a flood of sites')
ok(rig.until(lambda: len({stat[0] for stat in sub.stats}) == SITES),
   'each of them has heartbeats')
late = rig.subscribe(2, topics=[b'stat/'])
ok(rig.until(lambda: len({stat[0] for stat in late.stats}) == SITES),
   'and for who comes late')
if count(0, 1):
    ok(rig.until(lambda: rig.quiet(late, 3), 120),
       'none any more, once they had no hit for a minute')
    rig.push(1, sites=1, size=0)
    ok(rig.until(lambda: len(late.stats) > 0), 'but again for one that has')
    ok(not rig.until(lambda: len({stat[0] for stat in late.stats}) > 1, 3),
       'and for no other')
    again = rig.subscribe(3, topics=[b'stat/'])
    ok(rig.until(lambda: len({stat[0] for stat in again.stats}) == SITES),
       'and for all, when somebody comes')
rig.end()

done_testing()
