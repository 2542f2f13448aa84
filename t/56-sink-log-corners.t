#!/usr/bin/python3
"""The log where several rare things meet: a midnight in a full table, a file
that was removed, descriptors that run out, and a death just then."""

import json
import os
import resource
import signal
import stat
import shutil
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
os.rename(rig.spool, rig.spool + '.away')   # as if its mount had gone
os.mkdir(rig.spool)
os.rename(away, rig.logs)
time.sleep(1)                           # long enough to judge too early
shutil.rmtree(rig.spool)
os.rename(rig.spool + '.away', rig.spool)
ok(rig.wait(), 'hits are done once the spool can be read')
rig.check('what it could not look at was not doubled')
rig.stop()
rig.remove()

# ---- the control socket is bound while the log makes its directories

rig = Rig(path='$beacon_site/log')
rig.push(10, sites=3)
rig.start(**rig.shim(SHIM_BIND_MS='1000'))
wait_until(rig.files, 10)
time.sleep(0.5)
is_({stat.S_IMODE(os.stat(f).st_mode) for f in rig.files()}, {0o640},
    'its files have their mode')
is_({stat.S_IMODE(os.stat(os.path.dirname(f)).st_mode) for f in rig.files()},
    {0o750}, 'its directories, too')
ok(rig.wait(), 'hits are done')
ok(wait_until(lambda: stat.S_IMODE(os.stat(os.path.join(
    rig.ring, 'beacond.sock')).st_mode) == 0o600, 10), 'so has the socket')
rig.stop()
rig.remove()

# ---- sync=always: what a dead helper had written

rig = Rig(path='$beacon_site.jsonl', sync='always')
rig.start(BEACON_KILL_AT='log.before_checkpoint:2')
rig.push(100, sites=3)
ok(rig.died(), 'a death with lines written, not acknowledged')
synced = os.path.join(rig.top, 'synced')
rig.start(**rig.shim(SHIM_SYNCED=synced))
ok(rig.wait(), 'they are acknowledged by the next helper')
with open(synced, encoding='utf-8') as file:
    is_(sorted(set(file.read().split())), rig.files(),
        'on disk by then, not only in the page cache')
rig.check('and not written again')
rig.stop()
rig.remove()

# ---- a slow disk, more files than descriptors

rig = Rig(path='$beacon_site.jsonl')
rig.start(nofile=90, **rig.shim(SHIM_SYNC_MS='2'))
rig.push(4000, sites=400)
most = []
ok(wait_until(lambda: most.append(len(os.listdir(
    '/proc/%d/fd' % rig.helper.pid))) or rig.sink().get('done') == rig.next,
    60, 0.02), 'hits of 400 files are done on a slow disk')
ok(max(most) < 80, 'files that wait for it leave descriptors to others')
is_(rig.told('errors', lambda n: n is not None), 0, 'no error')
rig.stop()
rig.remove()

# ---- a limit on the size of files

rig = Rig(path='$beacon_site.jsonl')
rig.start()
rig.push(10)
rig.wait()
limit = resource.prlimit(rig.helper.pid, resource.RLIMIT_FSIZE)
resource.prlimit(rig.helper.pid, resource.RLIMIT_FSIZE, (100000, limit[1]))
rig.push(1000)
ok(rig.told('errors', bool), 'a file that must not grow is an error')
ok(rig.helper.poll() is None, 'the helper lives')
resource.prlimit(rig.helper.pid, resource.RLIMIT_FSIZE, limit)
ok(rig.wait(), 'it goes on when it may')
rig.check('nothing is lost or torn')
rig.stop()
rig.remove()

# ---- rotated to something that is refused, with lines that wait

rig = Rig(path='$beacon_site/log')
rig.start()
rig.push(30, sites=3)
rig.wait()
name = os.path.join(rig.logs, 's0/log')
for n in range(count(3, 30)):
    time.sleep(0.25)                    # so that its lines are young
    rig.push(90, sites=3)
    time.sleep(0.05)
    if not os.path.islink(name):
        os.rename(name, name + '.1')
        os.symlink('/etc/passwd', name)
    rig.send(signal.SIGUSR1)
rig.push(300, sites=3)
ok(rig.wait(seconds=10), 'a path that is refused after a rotation stops none')
rig.check('its lines are in the overflow\'s file')
rig.stop()
rig.remove()

done_testing()
