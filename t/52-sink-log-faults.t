#!/usr/bin/python3
"""A log's disk is full, read-only, gone, frozen; then repaired: no torn line,
everything caught up, in order; what lags waits in the spool."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

if os.geteuid() != 0:
    skip_all('mounting needs root')


def torn(rig):
    """Lines that are none, but for an unfinished last one."""
    return [name for name in rig.files()
            if None in rig.numbers(name)[:-1]]


def remount(rig, options):
    return subprocess.run(['mount', '-o', 'remount,' + options,
                           rig.logs]).returncode == 0


# ---- full

for spool in (True, False):
    what = 'with a spool' if spool else 'without'
    rig = Rig(path='$beacon_site.log', spool=spool, lane='2m')
    if not rig.tmpfs('1m'):
        skip_all('tmpfs cannot be mounted here')
    rig.start()
    rig.follow('s0.log')
    pusher = rig.push(20000, wait=False, sites=3, rate=20000)
    ok(rig.told('errors', bool, 20) > 0, 'a full disk is an error ' + what)
    like(rig.told('last_error', bool) or '', 'No space left',
         'status says which')
    is_(torn(rig), [], 'no line is torn meanwhile')
    if spool:
        ok(rig.pushed(), 'nobody else waits for the full disk')
        ok(wait_until(lambda: rig.books()['spool'] > 0, 10),
           'what lags lies in the spool')
    ok(rig.sink()['done'] < rig.next, 'the log is behind')
    ok(remount(rig, 'size=100m'), 'there is space again')
    ok(rig.pushed() and rig.wait(seconds=60), 'it catches up ' + what)
    rig.check('a full disk loses and tears nothing ' + what)
    is_(rig.unfollow()[0], 0, 'tail -F sees no line twice')
    rig.once_a_minute('No space', 'the log tells it once a minute')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

# ---- full, and the helper dies meanwhile

rig = Rig(path='$beacon_site.log', spool=True, lane='2m')
rig.tmpfs('1m')
for n in range(4):
    rig.start()
    rig.push(4000, sites=3)
    rig.told('errors', bool, 20)
    rig.kill()
rig.start()
remount(rig, 'size=100m')
ok(rig.wait(seconds=60), 'it catches up after deaths on a full disk')
rig.check('deaths on a full disk lose and double nothing')
rig.stop()
rig.remove()

# ---- read-only

rig = Rig(path='$beacon_site.log', spool=True)
rig.tmpfs('100m')
rig.start()
rig.push(2000, sites=3)
rig.wait()
rig.kill()                              # its open files keep it writable
ok(remount(rig, 'ro'), 'the disk is read-only')
rig.start()
rig.push(5000, sites=3)
ok(rig.told('errors', bool, 20) > 0, 'a read-only disk is an error')
ok(remount(rig, 'rw'), 'it is writable again')
ok(rig.wait(seconds=60), 'it catches up')
rig.check('a read-only disk loses nothing')
rig.stop()
rig.remove()

# ---- the directory is gone

rig = Rig(path='$beacon_site/log', spool=True)
rig.start()
rig.push(1000, sites=3)
rig.wait()
shutil.rmtree(rig.logs)
rig.push(3000, sites=3)
ok(rig.told('errors', bool, 20) > 0, 'a missing directory is an error')
ok(not os.path.exists(rig.logs), 'it is not made: it may be a mount point')
os.mkdir(rig.logs)
ok(rig.wait(seconds=60), 'it catches up once it is there')
is_(rig.faults(), ['1000 missing, first 0'],
    'nothing but what was removed is missing')
rig.stop()
rig.remove()

# ---- unmounted while the helper is down

rig = Rig(path='$beacon_site/log', spool=True)
base = rig.logs
rig.logs = os.path.join(base, 'disk')
os.mkdir(rig.logs)
image = os.path.join(rig.top, 'elsewhere')
rig.start()
pusher = rig.push(4000, wait=False, sites=3, rate=8000)
wait_until(lambda: rig.sink().get('done', 0) > 0, 10)
rig.kill()
os.rename(rig.logs, image)
rig.start()
rig.pushed()
ok(wait_until(lambda: 'recovery' in rig.error_text(), 20),
   'recovery waits for a directory that is not there')
os.rename(image, rig.logs)
ok(rig.wait(seconds=60), 'it goes on once it is')
rig.check('a disk that comes late loses and doubles nothing')
rig.stop()
rig.remove()

# ---- frozen

rig = Rig(path='$beacon_site.log', spool=True, lane='2m')
if rig.loop():
    rig.start()
    rig.follow('s0.log')
    rig.push(3000, sites=3)
    rig.wait()
    for n in range(count(2, 10)):
        rig.freeze()
        ok(rig.push(15000, sites=3), 'a frozen disk holds nobody up')
        ok(wait_until(lambda: rig.books()['spool'] > 0, 20),
           'what lags lies in the spool')
        ok(rig.sink()['done'] < rig.next, 'the log is behind')
        rig.freeze(False)
        ok(rig.wait(seconds=60), 'it catches up when it thaws')
    rig.check('a frozen disk loses, doubles and tears nothing')
    is_(rig.unfollow()[0], 0, 'tail -F sees no line twice')
    is_(rig.stop(), 0, 'the helper ends well')
else:
    skip('no loop device with ext4 here')
rig.remove()

# ---- stopped while frozen

rig = Rig(path='$beacon_site.log', spool=True, lane='2m')
if rig.loop():
    rig.start()
    rig.push(1000, sites=3)
    rig.wait()
    rig.freeze()
    rig.push(2000, sites=3)
    rig.send(15)
    wait_until(lambda: 'leaving without' in rig.error_text(), 10)
    rig.freeze(False)
    ok(rig.ended() is not None, 'a helper ends after the disk thaws')
    rig.start()
    ok(rig.wait(seconds=60), 'the next one goes on')
    rig.check('a stop on a frozen disk loses and doubles nothing')
    rig.stop()
else:
    skip('no loop device with ext4 here')
rig.remove()

done_testing()
