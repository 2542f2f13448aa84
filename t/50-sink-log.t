#!/usr/bin/python3
"""The log: which file, which directory, how many of them; nothing outside."""

import json
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

# ---- sites and days

rig = Rig(path='$beacon_site/%Y-%m-%d.jsonl')
rig.start()
rig.push(5000, sites=20, start=1795300000, step=60000)
ok(rig.wait(), 'all hits are done')
rig.check('sites and days have files of their own, each hit once')
is_(len(rig.files()), 20 * 5, 'as many as there are')
first = json.loads(open(os.path.join(
    rig.logs, 's0/2026-11-21.jsonl')).readline())
is_((first['site'], first['args']['n']), ('s0', '0'),
    'a line is in the file of its site and day')
is_({stat.S_IMODE(os.stat(f).st_mode) for f in rig.files()}, {0o640},
    'files are 0640')
is_({stat.S_IMODE(os.stat(os.path.dirname(f)).st_mode)
     for f in rig.files()}, {0o750}, 'directories are 0750')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- time zones of a field

rig = Rig(path='%Y-%m-%d-%H.jsonl', timezone='$beacon_field_zone')
rig.start()
rig.push(400, field='Asia/Kathmandu,America/New_York,Nowhere/City,UTC',
         start=1795300561)              # 2026-11-21 22:36:01 UTC
ok(rig.wait(), 'hits of four zones are done')
is_({os.path.basename(f): len(rig.numbers(f)) for f in rig.files()},
    {'2026-11-22-04.jsonl': 100, '2026-11-21-17.jsonl': 100,
     '2026-11-21-22.jsonl': 200},
    'a field may name the time zone; what names none is UTC')
ok(rig.told('zone_fallbacks', bool), 'which is counted')
rig.stop()
rig.remove()

# ---- other names in each reload's template, more than there is room for

rig = Rig()
rig.start()
ok(rig.up(), 'a helper runs')
for i in range(24):
    rig.push(200, wait=False, field='A,B', rate=2000)
    rig.path = '%d-$beacon_arg_a%d-$beacon_arg_b%d-%s.jsonl' % (
        i, i, i, '$beacon_field_zone' if i % 3 else 'none')
    rig.reload()
ok(rig.pushed() and rig.wait(), 'hits of 24 templates with 49 names are done')
is_(rig.error_text().count('the old configuration stays'), 0,
    'each is taken: names that no sink has are forgotten')
rig.check('each hit is in one of their files')
is_([name for name in rig.files() for _, n in rig.numbers(name)
     if not name.endswith(('none.jsonl', 'all.jsonl',
                           'AB'[n % 2] + '.jsonl'))], [],
    'and in the one of its values')
rig.sinks = [{'type': 'log', 'name': 'log', 'at': 'test:5',
              'path': os.path.join(rig.logs, ''.join(
                  '$beacon_arg_c%d' % i for i in range(33)) + '.jsonl')}]
ok(rig.reload() and 'the old configuration stays' in rig.error_text(),
   'one with 33 is refused')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- many sites

rig = Rig(path='$beacon_site.jsonl', max_files=20)
rig.start()
rig.push(30000, sites=10000)
ok(rig.wait(seconds=60), 'hits of 10,000 sites are done')
rig.check('10,000 sites lose nothing')
is_(len(rig.files()), 21, 'past max_files all go to one more file')
over = rig.numbers(os.path.join(rig.logs, '_overflow.jsonl'))
is_(rig.told('overflow', lambda n: n == len(over)), len(over),
    'hits in it are counted')
ok(json.loads(open(os.path.join(rig.logs, '_overflow.jsonl')).readline())
   ['site'].startswith('s'), 'and keep their own site')
rig.stop()
rig.remove()

# ---- few descriptors

rig = Rig(path='$beacon_site.jsonl')
rig.start(nofile=90)
rig.push(20000, sites=400)
ok(rig.wait(seconds=60), '400 files are done with 90 descriptors')
rig.check('without loss')
is_(len(rig.files()), 400, 'each in its own')
rig.stop()
rig.remove()

# ---- names

rig = Rig(path='in/$beacon_site/log')
os.makedirs(os.path.join(rig.logs, 'in'))
rig.start()
for site in ('../../out', '..', '/etc', '.hidden', 'a/b', '%2e%2e', 'x\ny'):
    rig.push(70, site=site)
ok(rig.wait(rig.next - 70), 'hits among those with bad sites are done')
is_(rig.told('lost', lambda n: n == 70), 70,
    'those whose site is none are corrupt records')
is_(sorted(os.listdir(rig.logs)), ['in'], 'none outside of the directory')
is_([n for n in os.listdir(os.path.join(rig.logs, 'in'))
     if not all(c.isalnum() or c in '_.-' for c in n) or n[0] == '.'], [],
    'names are made of harmless bytes')
rig.stop()
rig.remove()

# ---- planted

rig = Rig(path='$beacon_site/log')
out = os.path.join(rig.top, 'out')
os.makedirs(out)
for n in range(6):
    if n != 3:
        os.mkdir(os.path.join(rig.logs, 's%d' % n))
os.symlink(os.path.join(out, 'x'), os.path.join(rig.logs, 's0/log'))
os.mkfifo(os.path.join(rig.logs, 's1/log'))
os.mknod(os.path.join(rig.logs, 's2/log'), stat.S_IFCHR | 0o666,
         os.makedev(1, 5))
os.symlink(out, os.path.join(rig.logs, 's3'))
os.mkdir(os.path.join(rig.logs, 's4/log'))
rig.start()
rig.push(6000, sites=6)
ok(rig.wait(), 'planted symlink, FIFO, device, directory stop nobody')
rig.check('their hits are not lost')
is_(os.listdir(out), [], 'no symlink is followed')
is_([os.path.relpath(f, rig.logs) for f in rig.files()],
    ['_overflow/log', 's5/log'], 'they are in the overflow\'s file')
ok(rig.told('errors', lambda n: n and n >= 5) >= 5, 'each is an error')
rig.says(r'open\(\) ".*log"', 'the log names one')
rig.once_a_minute('open()', 'once a minute')
rig.stop()
rig.remove()

# ---- sync

for sync in ('always', 'off', '50ms'):
    rig = Rig(path='$beacon_site.jsonl', sync=sync)
    rig.start()
    rig.push(5000, sites=5)
    ok(rig.wait(), 'hits are done with sync=%s' % sync)
    rig.check('sync=%s writes each once' % sync)
    is_(rig.sink().get('unsynced'), 0, 'none is called not durable')
    rig.stop()
    rig.remove()

done_testing()
