#!/usr/bin/python3
"""A log's disk by FUSE: stopped, with input and output errors, with an fsync
that fails; and a helper that can make no thread, or open no file."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_clock import Clock
from beacon_rig import Rig

if os.geteuid() != 0:
    skip_all('mounting needs root')


class Disk(Rig):
    def __init__(self, **options):
        super().__init__(path='$beacon_site.log', lane='2m', **options)
        self.disk = self.fault_fs(self.logs)
        if not self.disk:
            skip_all('no FUSE here')


# ---- stopped

rig = Disk(spool=True)
rig.start()
rig.follow('s0.log')
rig.push(3000, sites=3)
rig.wait()
for n in range(count(2, 10)):
    rig.disk.freeze()
    ok(rig.push(15000, sites=3), 'a disk that is stopped holds nobody up')
    ok(wait_until(lambda: rig.books()['spool'] > 0, 20),
       'what lags lies in the spool')
    ok(rig.sink()['done'] < rig.next, 'the log is behind')
    rig.disk.freeze(False)
    ok(rig.wait(seconds=60), 'it catches up when it goes on')
rig.check('a stopped disk loses, doubles and tears nothing')
is_(rig.unfollow()[0], 0, 'tail -F sees no line twice')
rig.follow('s0.log')
rig.disk.freeze()
rig.push(3000, sites=3)
rig.send(signal.SIGKILL)
rig.disk.freeze(False)                  # what is stuck in it cannot die
ok(rig.died(), 'the helper is killed meanwhile')
rig.start()
ok(rig.wait(), 'the next one goes on')
rig.check('nothing is lost or doubled')
is_(rig.unfollow()[0], 0, 'nor does tail -F see a line twice')
rig.disk.freeze()
rig.push(3000, sites=3)
rig.send(signal.SIGTERM)
ok(wait_until(lambda: 'leaving without' in rig.error_text()),
   'a stop does not wait for it')
rig.disk.freeze(False)
ok(rig.ended() is not None, 'the helper ends when it can')
rig.start()
ok(rig.wait(), 'the next one goes on')
rig.check('a stop meanwhile loses and doubles nothing')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- input and output errors

for fault in ('write', 'short', 'open'):
    rig = Disk(spool=True)
    rig.start()
    rig.push(2000, sites=3)
    rig.wait()
    if fault != 'open':                 # tail itself could not open it
        rig.follow('s0.log')
    for n in range(count(2, 20)):
        rig.disk.fail(fault)
        ok(rig.push(5000, sites=4 + n), 'EIO (%s) holds nobody up' % fault)
        ok(rig.told('errors', bool, 20) > 0, 'it is counted')
        like(rig.told('last_error', bool) or '', 'Input/output error',
             'and told')
        rig.disk.repair()
        ok(rig.wait(seconds=60), 'the log catches up after repair')
    rig.check('EIO loses, doubles and tears nothing')
    if fault != 'open':
        is_(rig.unfollow()[0], 0, 'tail -F sees no line twice')
    rig.disk.fail(fault)
    rig.push(4000, sites=10)
    rig.told('errors', bool, 20)
    rig.kill()
    rig.disk.repair()
    rig.start()
    ok(rig.wait(), 'a helper that died meanwhile has a successor')
    rig.check('a death meanwhile loses, doubles and tears nothing')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

# ---- fsync

rig = Disk(sync='100ms')
rig.start()
rig.disk.fail('fsync')
rig.push(2000, sites=3)
ok(rig.wait(), 'with sync=TIME a failed fsync stops nothing')
ok(rig.told('unsynced', bool, 10) > 0, 'what it was for is counted')
rig.disk.repair()
rig.push(2000, sites=3)
ok(rig.wait(), 'it goes on')
rig.check('each hit is there once')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

rig = Disk(sync='always', spool=True)
rig.start()
rig.push(100, sites=3)
rig.wait()
rig.disk.fail('fsync')
ok(rig.push(10000, sites=3), 'with sync=always it holds nobody up, either')
like(rig.told('last_error', bool) or '', 'fdatasync', 'it is told')
ok(rig.sink()['done'] < rig.next, 'nothing is done that is not durable')
rig.disk.repair()
ok(rig.wait(), 'until it is')
ok(rig.told('unsynced', bool) > 0, 'what the kernel may have dropped is '
   'counted')
rig.check('each hit is there once')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- no descriptors

for limit in range(6, 15):
    rig = Rig(spool=True, path='$beacon_site.log')
    rig.push(300, sites=20)
    rig.start(nofile=limit)
    drained = wait_until(lambda: rig.helper.poll() is not None
                         or rig.sink().get('done') == 300, 2)
    code = rig.helper.poll()
    if code is None:
        rig.stop()
    else:
        rig.helper = None
    ok(code in (None, 4), 'with %d descriptors the helper %s' % (limit,
       'drains' if drained and code is None else 'waits' if code is None
       else 'wants to be started again'))
    rig.start()
    ok(rig.up() and rig.wait(), 'the next one drains')
    rig.check('each hit is there once')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

# ---- no threads

if os.environ.get('SANITIZE') or 'address' in BUILD or 'thread' in BUILD:
    skip('nothing is preloaded before a sanitizer')
else:
    rig = Rig()
    name = os.path.join(rig.top, 'no.threads')
    environ = {'LD_PRELOAD': os.path.join(BUILD, 'no_threads.so'),
               'NO_THREADS': name}
    open(name, 'w').close()
    rig.push(500)
    rig.start(**environ)
    is_(rig.ended(), 4, 'a helper that can make no thread wants to be '
        'started again')
    rig.says('cannot make a thread', 'it says why')
    os.unlink(name)
    rig.start(**environ)
    ok(rig.wait(), 'the next one drains')
    open(name, 'w').close()
    rig.sinks = [{'type': 'log', 'name': 'log', 'at': 'test:5',
                  'path': os.path.join(rig.logs, rig.path)},
                 {'type': 'ids', 'name': 'ids', 'at': 'test:6',
                  'path': os.path.join(rig.top, 'ids')}]
    rig.configure()
    rig.send(signal.SIGHUP)
    ok(wait_until(lambda: 'cannot make a thread for sink "ids"'
                  in rig.error_text()), 'a new sink without a thread is told')
    ok(rig.push(500) and rig.wait(), 'the others go on')
    ok(rig.sink('ids')['pending'] >= 500, 'its hits are pending')
    os.unlink(name)
    ok(wait_until(lambda: rig.sink('ids')['pending'] == 0),
       'it runs once it has one')
    rig.check('each hit is in the log once')
    open(name, 'w').close()
    is_(rig.stop(), 0, 'a stop needs no thread')
    rig.remove()

# ---- a clock that is not the kernel's: ends are waited for by the steady one

rig = Disk()
rig.sinks = [{'type': 'log', 'name': 'log', 'at': 'test:5', 'sync': 'off',
              'path': os.path.join(rig.logs, 'all.jsonl')},
             {'type': 'ids', 'name': 'ids', 'at': 'test:6',
              'path': os.path.join(rig.top, 'ids')}]
clock = Clock(rig.top)
with clock:
    rig.start()
rig.push(100)
ok(rig.wait(), 'a log runs')
clock.step(3600)
rig.disk.freeze()
rig.push(100)
ok(rig.wait(name='ids'), 'it is stuck')
rig.sinks = rig.sinks[1:]
ok(rig.reload(), 'a reload without it does not wait for it for an hour')
rig.disk.freeze(False)
ok(wait_until(lambda: '"log" has ended' in rig.error_text()),
   'it ends when it can')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

done_testing()
