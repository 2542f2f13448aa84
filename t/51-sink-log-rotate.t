#!/usr/bin/python3
"""Rotation under load: rename with USR1, rename alone, rename while the helper
is down, removal; a follower never sees a line twice."""

import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

seed()


def rotate(rig, n):
    """As logrotate does: one rename each."""
    moved = 0
    for name in rig.files():
        if name.endswith('.log'):
            os.rename(name, '%s.%d' % (name, n))
            moved += 1
    return moved


# ---- rename and USR1

rig = Rig(path='$beacon_site.log')
rig.start()
rig.follow('s0.log')
turns = count(30, 500)


def three_files():
    """Each site has its file again; hits go on until then."""
    if all(pusher.poll() is not None for pusher in rig.pushers):
        rig.push(200, wait=False, sites=3, rate=4000)
    return len([f for f in rig.files() if f.endswith('.log')]) == 3


for turn in range(turns):
    wait_until(three_files, 30, 0.002)
    rotate(rig, turn)
    rig.send(signal.SIGUSR1)
ok(rig.pushed(60) and rig.wait(), 'hits are done while files are rotated')
rig.check('%d times rename and USR1 lose, double, tear nothing' % turns)
ok(rig.told('reopened', lambda n: n and n >= turns) >= turns,
   'files are opened anew')
doubled, lines = rig.unfollow()
is_(doubled, 0, 'tail -F sees no line twice')
ok(lines > 1, 'it sees some')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- rename alone, and removal of its directory

rig = Rig(path='$beacon_site/log')
rig.start()
turns = count(10, 50)
for n in range(turns):
    rig.push(500, sites=3)
    ok(rig.wait(), 'hits before rename %d are done' % n) if n == 0 else \
        rig.wait()
    for site in ('s0', 's1', 's2'):
        os.rename(os.path.join(rig.logs, site, 'log'),
                  os.path.join(rig.logs, site, 'log.%d' % n))
    time.sleep(0.25)            # the path is looked at every 200 ms
rig.push(500, sites=3)
ok(rig.wait(), 'hits behind the last one, too')
rig.check('renames without a signal lose nothing')
is_(len(rig.files()), 3 * (turns + 1), 'each is met by a new file')
before = rig.next
for name in rig.files():
    os.unlink(name)
    if os.path.isdir(os.path.dirname(name)) \
            and not os.listdir(os.path.dirname(name)):
        os.rmdir(os.path.dirname(name))
time.sleep(0.25)
rig.push(500, sites=3)
ok(rig.wait(), 'hits are done after files and directories are removed')
is_([b for b in rig.faults() if 'missing' not in b], [], 'in whole lines')
is_(rig.found, 500, 'all in new files')
rig.stop()
rig.remove()

# ---- rename while the helper is down

rig = Rig(path='$beacon_site.log')
rig.follow('s0.log')
turns = count(10, 100)
for n in range(turns):
    done = rig.sink().get('done', 0)
    rig.start()
    rig.push(1500, wait=False, sites=2, rate=20000)
    wait_until(lambda: rig.sink().get('done', 0) > done, 5)
    time.sleep(random.random() * 0.05)
    rig.kill()
    rotate(rig, n)
rig.start()
ok(rig.pushed() and rig.wait(), 'hits are done after %d deaths' % turns)
rig.check('a rename while the helper is dead loses and doubles nothing')
is_(rig.told('possible_duplicates', lambda n: n is not None), 0,
    'renamed files are found')
is_(rig.unfollow()[0], 0, 'tail -F sees no line twice')
rig.stop()

# ---- moved away altogether

rig.start(BEACON_KILL_AT='log.after_write:%d' % random.randint(1, 5))
rig.push(3000, wait=False, sites=1, rate=20000)
ok(rig.died(), 'lines are written and not in a checkpoint')
away = os.path.join(rig.top, 'away')
os.makedirs(away)
moved = [f for f in rig.files() if f.endswith('s0.log')]
for name in moved:
    os.rename(name, os.path.join(away, 's0.log'))
rig.start()
ok(rig.pushed() and rig.wait(), 'hits are done without the file')
ok(rig.told('possible_duplicates', bool), 'doubles are possible: counted')
rig.stop()
rig.remove()

done_testing()
