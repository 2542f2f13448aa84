#!/usr/bin/python3
"""A sink that cannot be made when the helper starts waits alone, its hits with
it; a reload that brings such a one is refused."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

ZONE = 'Test/Zone'


class Flawed(Rig):
    """A log that can be made, and one in a time zone that is not there."""

    def __init__(self, **options):
        super().__init__(lane='1m', **options)
        self.far = os.path.join(self.top, 'far')
        self.zones = os.path.join(self.top, 'zones')
        os.mkdir(self.far)
        os.mkdir(self.zones)
        self.sinks = [
            {'type': 'log', 'name': 'far', 'at': 'test:5', 'timezone': ZONE,
             'path': os.path.join(self.far, '%Y.jsonl')},
            {'type': 'log', 'name': 'log', 'at': 'test:6',
             'path': os.path.join(self.logs, 'all.jsonl')}]

    def start(self, **options):
        super().start(TZDIR=self.zones, **options)

    def repair(self):
        os.makedirs(os.path.dirname(os.path.join(self.zones, ZONE)))
        shutil.copy('/usr/share/zoneinfo/Europe/Athens',
                    os.path.join(self.zones, ZONE))

    def both(self, name):
        """Each log has every hit once."""
        self.check(name)
        self.logs, self.far = self.far, self.logs
        self.check(name + ', and so does the one that waited')
        self.logs, self.far = self.far, self.logs


for spool in (True, False):
    what = 'with a spool' if spool else 'without'
    rig = Flawed(spool=spool)
    rig.start()
    total = 10000 if spool else 500         # of 600 bytes, in a lane of 1m
    ok(rig.push(total), 'a sink that cannot be made holds up nobody ' + what)
    ok(rig.wait(), 'another one runs')
    books = rig.books()
    is_((books['sinks']['far']['done'], books['sinks']['far']['lost'],
         books['sinks']['far']['pending']), (0, 0, total),
        'its hits are pending')
    like(rig.told('last_error', bool, name='far') or '', 'Test/Zone',
         'the books say why')
    ok(wait_until(lambda: rig.sink('far')['errors'] > 1, 10),
       'it is tried again by itself')
    rig.once_a_minute('cannot be made', 'the log tells it once a minute')
    rig.repair()
    if not spool:
        ok(rig.reload(), 'and at a reload')
    ok(rig.wait(name='far'), 'it is made when it can be')
    rig.both('nothing is lost meanwhile, nor doubled')
    rig.push(100)
    ok(rig.wait() and rig.wait(name='far'), 'both go on')
    is_(rig.told('last_error', lambda error: not error, name='far'), None,
        'without an error')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

# ---- the helper dies meanwhile; and stops

rig = Flawed(spool=True)
for n in range(3):
    rig.start()
    rig.push(3000)
    rig.wait()
    if n < 2:
        rig.kill()
is_(rig.sink('far')['pending'], rig.next, 'its hits outlive the helper')
is_(rig.stop(), 0, 'a helper with a sink that waits ends well')
rig.repair()
rig.start()
ok(rig.wait(name='far'), 'they are there when it is made')
rig.both('deaths meanwhile lose and double nothing')
rig.stop()
rig.remove()

# ---- reloads

rig = Flawed()
rig.start()
rig.push(100)
rig.wait()
rig.sinks.append({'type': 'ids', 'name': 'ids', 'at': 'test:7',
                  'path': os.path.join(rig.top, 'ids')})
ok(rig.reload() and 'configuration 2 is in use' in rig.error_text(),
   'a sink that waits is in no reload\'s way')
ok(rig.push(100) and rig.wait(100, name='ids'), 'which is in use')
rig.sinks[1] = dict(rig.sinks[1], timezone='Not/There')
ok(rig.reload() and 'the old configuration stays' in rig.error_text(),
   'a reload that brings one that cannot be made is refused as a whole')
rig.says('stays: .*Not/There', 'with the reason')
ok(rig.push(100) and rig.wait(), 'the old one goes on')
del rig.sinks[0]
rig.sinks[0].pop('timezone')
ok(rig.reload() and 'configuration 4 is in use' in rig.error_text(),
   'one that waits can be left out')
ok(wait_until(lambda: 'far' not in rig.books()['sinks'], 10),
   'it leaves the books')
rig.check('the other log has every hit once')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

done_testing()
