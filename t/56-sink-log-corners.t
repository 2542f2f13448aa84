#!/usr/bin/python3
"""The log where several rare things meet: a midnight in a full table, a file
that was removed, descriptors that run out, and a death just then."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

MIDNIGHT = 1795305600                   # 2026-11-22 00:00:00 UTC
DAY = 86400


def at(rig, first, step):
    """So that the next hit is of that time, the ones behind it step apart."""
    return {'start': first - rig.next * step, 'step': step * 1000}


def misplaced(rig):
    """Lines in a file of another site or day."""
    bad = []
    for name in rig.files():
        site, day = os.path.relpath(name, rig.logs)[:-len('.jsonl')].split('/')
        with open(name, encoding='utf-8') as file:
            for line in file:
                hit = json.loads(line)
                if hit['time'][:10] != day \
                        or site not in (hit['site'], '_overflow'):
                    bad.append(line)
    return bad


# ---- midnight within a batch, and no place in the table

rig = Rig(path='$beacon_site/%Y-%m-%d.jsonl', max_files=2)
rig.start()
for n in range(count(6, 50)):
    midnight = MIDNIGHT + n * DAY
    rig.push(10, sites=2, **at(rig, midnight - 50, 10))
    rig.wait(seconds=5)
    rig.push(10, sites=2, **at(rig, midnight + DAY // 2, 10))
    if not rig.wait(seconds=5):
        break
    time.sleep(0.15)                    # a full table is not searched so soon
rig.check('midnights in a full table lose nothing')
is_(misplaced(rig), [], 'and misplace nothing')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- a file gives up its place before it is in a checkpoint

rig = Rig(path='$beacon_site/%Y-%m-%d.jsonl', max_files=2)
rig.start(BEACON_KILL_AT='log.after_write:15')
wait_until(lambda: rig.books()['accepted'] == 0, 10)
rig.push(10, sites=2, start=MIDNIGHT - 60)
time.sleep(0.05)                        # in the next batch, before 200 ms
rig.push(10, sites=2, start=MIDNIGHT + 60)
ok(rig.died(), 'a death while a place is made')
rig.start()
ok(rig.wait(), 'the next helper finishes')
rig.check('a file is listed before it is written, then too')
rig.stop()
rig.remove()

# ---- removed files, while others need their descriptors

rig = Rig(path='$beacon_site.jsonl')
rig.start(nofile=90)
rig.push(20, sites=20)
ok(rig.wait(), 'hits of 20 sites are done')
for name in rig.files():
    os.unlink(name)
first = rig.next
rig.push(20, sites=20)
time.sleep(0.05)                        # in the next batch, before 200 ms
rig.push(400, sites=200)
ok(rig.wait(), 'hits behind the removal, too')
rig.faults()
is_(rig.found, rig.next - first, 'none went into a file that was removed')
rig.stop()
rig.remove()

# ---- recovery waits for a spool that cannot be read

rig = Rig(path='$beacon_site/log', spool=True, lane='2m')
base = rig.logs
rig.logs = os.path.join(base, 'disk')   # as if it were mounted there
away = os.path.join(base, 'away')
rig.start(BEACON_KILL_AT='log.after_write:5')
rig.push(4000)
ok(wait_until(lambda: rig.books()['spool'] > 1000000, 20),
   'hits are in the spool')
os.mkdir(rig.logs)
ok(rig.died(), 'a death with lines that no checkpoint tells of')
os.rename(rig.logs, away)
rig.start()
ok(wait_until(lambda: 'recovery' in rig.error_text(), 20),
   'recovery waits for the disk')
journals = [os.path.join(rig.spool, name) for name in os.listdir(rig.spool)
            if name.startswith('journal.') and '.' not in name[8:]]
for name in journals:
    os.rename(name, name + '.away')
os.rename(away, rig.logs)
time.sleep(1)                           # long enough to judge too early
for name in journals:
    os.rename(name + '.away', name)
ok(rig.wait(), 'hits are done once the spool can be read')
rig.check('what it could not look at was not doubled')
rig.stop()
rig.remove()

done_testing()
