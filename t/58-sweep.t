#!/usr/bin/python3
"""Temporary files that a kill left in the directories of ring and spool."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

OLD = ['ring.0123456789abcdef.tmp', 'beacon.json.new.4711',
       'schemas/.0a1b2c3d.json.4711.0']
KEPT = ['ring.0123456789abcdef.aside', 'notes.tmp', 'schemas/.hidden',
        'schemas/.0a1b2c3d.json']
SPOOLED = ['log.checkpoint.7.temp', 'cursors.json.temp',
           'kafka.checkpoint.disk-3.temp',
           'schemas/0a1b2c3d.json.temp']


def make(directory, names, age=3600):
    for name in names:
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='ascii') as file:
            file.write('x')
        os.utime(path, (time.time() - age,) * 2)


def there(directory, names):
    return [name for name in names
            if os.path.exists(os.path.join(directory, name))]


rig = Rig(spool=True)
young = [name.replace('4711', '4712').replace('cdef', 'cdee') for name in OLD]
make(rig.ring, OLD + KEPT)
make(rig.ring, young, 0)
make(rig.spool, SPOOLED, 0)
make(rig.spool, ['mine'])
rig.start()
rig.push(100)
ok(rig.wait(), 'a helper starts among leftovers')
is_(there(rig.ring, OLD), [], 'those of the ring are gone')
is_(there(rig.ring, young), young, 'but what may be in the making is not')
is_(there(rig.ring, KEPT), KEPT, 'nor what is something else')
is_(there(rig.spool, SPOOLED), [], 'those of the spool are gone')
is_(there(rig.spool, ['mine']), ['mine'], 'and nothing else')
rig.check('hits are drained')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

done_testing()
