#!/usr/bin/python3
"""A helper dies, and the next one starts while the log's disk is not mounted,
or has another number: where it was mounted is a directory all the same.  What
the checkpoint tells of is waited for, and not written again elsewhere."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

if os.geteuid() != 0:
    skip_all('mounting needs root')


def die(rig):
    """Some hits stand in the log behind its checkpoint."""
    rig.start()
    rig.push(1000, sites=3)
    ok(rig.wait(), 'hits are in the log')
    rig.stop()
    rig.start(BEACON_KILL_AT='log.after_write:2')
    rig.push(1000, sites=3)
    ok(rig.died(), 'a helper dies with more behind its checkpoint')


def umount(point):
    """Also where the helper just looks at what is there."""
    return wait_until(lambda: subprocess.run(
        ['umount', point], stderr=subprocess.DEVNULL).returncode == 0)


def log(spool=True):
    rig = Rig(path='$beacon_site.log', spool=spool)
    if not rig.tmpfs('64m'):
        skip_all('tmpfs cannot be mounted here')
    return rig


# ---- another disk is in its place, or none

rig = log()
die(rig)
ok(rig.tmpfs('64m'), 'its disk is not there')
rig.start()
rig.push(2000, sites=3)
ok(rig.told('errors', bool, 20) > 0, 'that is an error')
like(rig.told('last_error', bool) or '', 'recovery .*No such device',
     'the status says which')
is_(rig.files(), [], 'nothing is written in its place')
ok(umount(rig.logs), 'the disk is there again')
ok(rig.wait(seconds=60), 'the log goes on')
rig.check('nothing is lost and nothing is there twice')
is_(rig.sink()['possible_duplicates'], 0, 'nor may it be')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- it will not come back

rig = log()
die(rig)
rig.tmpfs('64m')
rig.start()
rig.push(1000, sites=3)
ok(rig.told('errors', bool, 20) > 0, 'a disk that is not there is waited for')
gone = os.path.join(rig.ring, 'log.gone')
open(gone, 'w').close()
ok(rig.wait(seconds=60), 'until somebody says that it is gone')
ok(rig.told('possible_duplicates', bool) > 0, 'its files are counted')
ok(wait_until(lambda: not os.path.exists(gone)), 'the word is taken away')
is_([name for name in rig.files() if None in rig.numbers(name)], [],
    'new files are whole')
is_(rig.stop(), 0, 'the helper ends well')
umount(rig.logs)
rig.remove()

# ---- another number

rig = Rig(path='$beacon_site.log', spool=True)
other = os.path.join(rig.top, 'other')
os.mkdir(other)
if rig.loop(16):
    die(rig)
    was = os.stat(rig.logs).st_dev
    image = os.path.join(rig.top, 'disk')
    ok(umount(rig.logs), 'its disk is unmounted')
    subprocess.run(['cp', '--sparse=always', image, image + '.other'],
                   check=True)
    ok(rig.mount(['-o', 'loop', image + '.other'], other)
       and rig.mount(['-o', 'loop', image]), 'and mounted again')
    if os.stat(rig.logs).st_dev == was:
        skip('it has the same number')
    rig.start()
    ok(rig.wait(seconds=60), 'its files are found by number and birth')
    rig.check('nothing is lost and nothing is there twice')
    is_(rig.sink()['possible_duplicates'], 0, 'nor may it be')
    is_(rig.stop(), 0, 'the helper ends well')
else:
    skip('no loop device with ext4 here')
rig.remove()

done_testing()
