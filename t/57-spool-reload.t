#!/usr/bin/python3
"""A reload brings a spool that holds hits already: sinks that run get what
they lack of them, once.  Or one that is empty, to sinks that have read another
before.  One that holds hits is left when it is empty, whoever is killed."""

import glob
import json
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig


def renew(rig):
    """The ring's directory is emptied, as by a reboot."""
    shutil.rmtree(rig.ring)
    os.mkdir(rig.ring)
    rig.epoch = rig.tool('fill_cli', rig.ring, 'new', 1 << 20, 16)


def balance(rig):
    books = rig.books()
    return all(books['accepted'] == s['done'] + s['lost'] + s['pending']
               and s['pending'] == s['lost'] == 0
               for s in books['sinks'].values())


def ids(rig):
    with open(os.path.join(rig.top, 'ids'), encoding='ascii') as file:
        return file.read().split()


for cursors in (True, False):
    what = '' if cursors else ', without cursors'
    rig = Rig(spool=True, lane='1m', lanes=16)
    rig.sinks = [{'type': 'log', 'name': 'log', 'at': 'test:5',
                  'path': os.path.join(rig.logs, 'all.jsonl')},
                 {'type': 'ids', 'name': 'ids', 'at': 'test:6',
                  'path': os.path.join(rig.top, 'ids')}]
    shutil.rmtree(rig.logs)
    rig.start()
    rig.push(5000)
    ok(rig.wait(name='ids'), 'one sink has them, one lags')
    is_(rig.stop(), 0, 'the helper ends, what lags is in the spool')
    os.mkdir(rig.logs)
    renew(rig)
    if not cursors:
        for name in os.listdir(rig.spool):
            if name.startswith('cursors'):
                os.unlink(os.path.join(rig.spool, name))
    spool, rig.spool = rig.spool, None
    rig.start()
    rig.push(1000)
    ok(rig.wait(1000) and rig.wait(1000, name='ids'),
       'the next one runs without it' + what)
    rig.spool = spool
    rig.configure()
    rig.send(signal.SIGHUP)
    ok(wait_until(lambda: 'configuration 3 is in use' in rig.error_text()),
       'a reload brings it back')
    rig.push(1000)
    ok(wait_until(lambda: not rig.faults(), 20, 0.1),
       'the sink that lagged gets its hits')
    rig.check('each of them once, and in order')
    ok(wait_until(lambda: balance(rig)), 'the books balance')
    is_(rig.books()['accepted'] in range(2000, 7001), True,
        'and count them again')
    if cursors:
        wait_until(lambda: len(ids(rig)) >= 7000)
        is_((len(ids(rig)), len(set(ids(rig)))), (7000, 7000),
            'the sink that had them gets none')
    ok(wait_until(lambda: not [name for name in os.listdir(rig.spool)
                               if name.startswith('journal.')
                               and 'index' not in name]),
       'the spool drains')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

# ---- another spool, where the last one was


def journals(rig):
    return [name for name in os.listdir(rig.spool)
            if name.startswith('journal.')]


def removed(rig):
    """Files without a name that the helper has open."""
    top = '/proc/%d/fd' % rig.helper.pid
    links = [os.readlink(os.path.join(top, fd)) for fd in os.listdir(top)]
    return [link for link in links if link.endswith('(deleted)')]


def lag(rig, what):
    """One log cannot write, until twenty times its lanes are spooled."""
    os.rename(rig.logs, rig.logs + '.away')
    rig.push(20000)
    ok(rig.wait(name='ids'), '%s: one sink has them, one lags' % what)
    os.rename(rig.logs + '.away', rig.logs)
    ok(wait_until(lambda: rig.sink()['pending'] == 0), '%s: it catches up'
       % what)
    rig.check('%s: it has all of them' % what)
    is_([sink['lost'] for sink in rig.books()['sinks'].values()], [0, 0],
        '%s: nothing is lost' % what)
    ok(wait_until(lambda: not journals(rig)), '%s: the spool drains' % what)
    ok(wait_until(lambda: not glob.glob(rig.spool + '/log.checkpoint*')),
       '%s: and has no copy of a checkpoint' % what)
    ok(wait_until(lambda: not removed(rig)),
       '%s: nobody has its files open any more' % what)


rig = Rig(spool=True, lane='256k', lanes=4)
rig.sinks = [{'type': 'log', 'name': 'log', 'at': 'test:5',
              'path': os.path.join(rig.logs, 'all.jsonl')},
             {'type': 'ids', 'name': 'ids', 'at': 'test:6',
              'path': os.path.join(rig.top, 'ids')}]
rig.start()
rig.push(100)
ok(rig.wait(), 'a log runs')
lag(rig, 'the first spool')
rig.spool = os.path.join(rig.top, 'another')
ok(rig.reload(), 'a reload brings another')
lag(rig, 'the second')
rig.spool = os.path.join(rig.top, 'spool')
ok(rig.reload(), 'a reload brings the first again')
lag(rig, 'the first again')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- one that holds hits is not left, by a reload, a kill and a start


def uses(rig):
    """What the last configuration in use has, as the helper notes it."""
    try:
        with open(os.path.join(rig.ring, 'beacond.spool'),
                  encoding='utf-8') as file:
            return json.load(file)['dir']
    except OSError:
        return None


def spooling(rig, what):
    """A log that cannot write, and hits of it that no ring holds."""
    os.rename(rig.logs, rig.logs + '.away')
    rig.push(6000)
    ok(rig.wait(name='ids') and wait_until(lambda: journals(rig)),
       '%s: one sink has the hits, one lags' % what)


def whole(rig, what):
    """And in the end it has all, once and in order."""
    os.rename(rig.logs + '.away', rig.logs)
    ok(rig.up() and wait_until(lambda: rig.sink()['pending'] == 0, 30),
       '%s: it catches up' % what)
    rig.check('%s: it has all of them' % what)
    ok(wait_until(lambda: uses(rig) == rig.spool, 30),
       '%s: then the spool is what is configured' % what)
    is_([(sink['done'], sink['lost']) for sink
         in rig.books()['sinks'].values()], [(rig.next, 0)] * 2,
        '%s: nothing is lost' % what)
    is_(rig.books()['accepted'], rig.next, '%s: each hit was accepted once'
        % what)


rig = Rig(spool=True, lane='256k', lanes=4)
rig.sinks = [{'type': 'log', 'name': 'log', 'at': 'test:5',
              'path': os.path.join(rig.logs, 'all.jsonl')},
             {'type': 'ids', 'name': 'ids', 'at': 'test:6',
              'path': os.path.join(rig.top, 'ids')}]
first, second = rig.spool, os.path.join(rig.top, 'another')
rig.start()
rig.push(100)
ok(rig.wait(), 'a log runs')
for what, spool in (('another spool', second), ('none', None),
                    ('the first', first)):
    used = rig.spool
    if not used:                # what cannot be left has to be there
        rig.spool = used = second
        ok(rig.reload(), 'a reload brings one again')
    spooling(rig, 'a reload with ' + what)
    rig.spool = spool
    ok(rig.reload(), 'a reload with %s' % what)
    rig.push(1000)
    is_(uses(rig), used, '%s: hits are where they are found' % what)
    rig.kill()
    rig.start()
    ok(rig.up(), '%s: the next helper comes' % what)
    rig.push(1000)
    ok(rig.wait(name='ids'), '%s: and takes hits' % what)
    is_(uses(rig), used, '%s: it has the spool that holds hits' % what)
    whole(rig, what)

# ---- unless it is gone

spooling(rig, 'a spool that goes')
rig.kill()
os.rename(rig.logs + '.away', rig.logs)
shutil.rmtree(first)
rig.spool = second
rig.start()
ok(rig.up() and wait_until(lambda: rig.sink()['pending'] == 0),
   'a start without it goes by the configuration')
ok(rig.sink()['lost'] > 0, 'what was in it is counted lost')
rig.balance('the books balance')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

done_testing()
