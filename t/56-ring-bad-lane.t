#!/usr/bin/python3
"""A lane whose header is corrupt: the others are drained, what cannot be read
is counted where anybody knows of it, the ring is set aside, not removed."""

import os
import signal
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_fault import PAGE, RingFile
from beacon_rig import Rig


def corrupt(rig, lane, value=1 << 50):
    """A tail that cannot be."""
    ring = RingFile(os.path.join(rig.ring, 'ring.' + rig.epoch))
    with open(ring.path, 'r+b') as file:
        file.seek(PAGE + lane * ring.stride + 64)
        file.write(struct.pack('<Q', value))
    return ring


def data(path, ring):
    """The lanes' bytes, and the header of the first."""
    with open(path, 'rb') as file:
        file.seek(PAGE)
        return file.read(192)


def renew(rig):
    """A ring of another geometry takes over."""
    old = rig.epoch
    rig.epoch = rig.tool('fill_cli', rig.ring, 'new', 1 << 20, 4)
    return os.path.join(rig.ring, 'ring.' + old)


def balance(rig):
    books = rig.books()
    return all(books['accepted'] == s['done'] + s['lost'] + s['pending']
               for s in books['sinks'].values())


for spool in (False, True):
    what = ' with a spool' if spool else ''

    # ---- found at start

    rig = Rig(lane='1m', lanes=4, spool=spool)
    rig.start()
    rig.push(1000)
    rig.wait()
    rig.stop()
    rig.push(500)                       # of these only the lane knows
    ring = corrupt(rig, 0)
    rig.push(700)
    ok([lane['tail'] > ring.start for lane in ring.headers()][:2] == [True] * 2,
       'a worker claims another lane')
    before = data(ring.path, ring)
    old = renew(rig)
    rig.start()
    ok(wait_until(lambda: os.path.exists(old + '.aside'), 30),
       'the ring is set aside when the rest is drained' + what)
    ok(not os.path.exists(old), 'and its file is not kept twice')
    is_(data(old + '.aside', ring), before, 'as it was')
    is_(rig.faults(1000), [], 'what was drained before is there')
    is_(rig.faults(2200), ['500 missing, first 1000'], 'so is the other lane')
    ok(wait_until(lambda: rig.books()['accepted'] == 2200 and balance(rig)),
       'the books know of all')
    is_((rig.sink()['done'], rig.sink()['lost'], rig.sink()['pending']),
        (1700, 500, 0), 'and that these are lost')
    rig.says('header of lane 0 of ring.* is corrupt',
             'the log tells it')
    rig.says('is drained and set aside', 'and what became of it')
    rig.push(300)
    ok(rig.wait(2000), 'the new ring is drained')
    rig.kill()
    rig.start()
    ok(rig.up() and wait_until(lambda: rig.sink().get('done') == 2000
                  and rig.books()['accepted'] == 2500 and balance(rig)),
       'the next helper has the same numbers')
    ok(os.path.exists(old + '.aside'), 'and leaves the file')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

    # ---- and while it runs, in the ring that is in use

    rig = Rig(lane='1m', lanes=4, spool=spool)
    rig.start()
    rig.push(1000)
    rig.wait()
    corrupt(rig, 0)
    ok(wait_until(lambda: 'is corrupt' in rig.error_text(), 10),
       'a header that is corrupted is noticed')
    rig.push(500)
    ok(rig.wait(), 'workers go on in another lane')
    rig.check('nothing is lost of what was drained')
    ok(wait_until(lambda: balance(rig) and rig.sink()['pending'] == 0),
       'the books balance')
    old = renew(rig)
    rig.configure()
    rig.send(signal.SIGHUP)
    ok(wait_until(lambda: os.path.exists(old + '.aside'), 30),
       'it is set aside after a reload that makes another')
    rig.push(500)
    ok(rig.wait(), 'which is drained')
    rig.check('each hit is there once')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

# ---- killed on the way

for point in ('engine.before_aside', 'engine.after_aside'):
    rig = Rig(lane='1m', lanes=4)
    rig.start()
    rig.push(1000)
    rig.wait()
    rig.stop()
    rig.push(500)
    corrupt(rig, 0)
    rig.push(700)
    old = renew(rig)
    rig.start(BEACON_KILL_AT=point)
    ok(rig.died(30), 'killed at ' + point)
    rig.start()
    ok(wait_until(lambda: os.path.exists(old + '.aside')
                  and not os.path.exists(old), 30), 'it is set aside')
    ok(wait_until(lambda: rig.books()['accepted'] == 2200 and balance(rig)
                  and rig.sink()['pending'] == 0, 10), 'the books balance')
    is_((rig.sink()['done'], rig.sink()['lost']), (1700, 500),
        'and count each hit once')
    is_(rig.faults(2200), ['500 missing, first 1000'], 'as the log has it')
    rig.stop()
    rig.remove()

done_testing()
