#!/usr/bin/python3
"""Two writers of one file: another helper, a sink whose template gives the
same path, a sink that was away.  No line is torn, none lost."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig


def torn(rig):
    return sum(rig.numbers(name).count(None) for name in rig.files())


# ---- two helpers

first = Rig(path='all.jsonl')
second = Rig(path='all.jsonl', logs=first.logs)
first.start()
first.push(10)
first.wait()
second.start()
for rig in (first, second):
    rig.push(5000, wait=False, rate=20000)
ok(first.pushed() and first.wait(), 'the first to open a file goes on')
like(second.told('last_error', bool) or '', 'another writer has',
     'the other one says why it waits')
is_(second.sink()['done'], 0, 'and writes nothing')
first.stop()
ok(second.pushed() and second.wait(), 'it goes on when the first is gone')
is_(torn(second), 0, 'no line is torn')
is_(len(second.numbers(second.files()[0])), first.next + second.next,
    'none is lost')
second.stop()
first.remove()
second.remove()

# ---- templates that overlap

rig = Rig()
rig.sinks = [{'type': 'log', 'name': name, 'at': 'test:1',
              'path': os.path.join(rig.logs, path)}
             for name, path in (('sites', '$beacon_site.jsonl'),
                                ('one', 's0.jsonl'))]
rig.start()
rig.push(3000, sites=3, wait=False, rate=20000)
ok(rig.pushed() and wait_until(lambda: max(
    rig.sink(name)['done'] for name in ('sites', 'one')) == rig.next, 30),
    'one sink writes the file')
ok(wait_until(lambda: sum(rig.sink(name)['errors']
                          for name in ('sites', 'one')) > 0, 10),
   'the other one says that it cannot')
is_(torn(rig), 0, 'no line is torn')
rig.stop()
rig.remove()

# ---- a sink that was taken away, and comes again

rig = Rig()
logs = [{'type': 'log', 'name': name, 'at': 'test:1',
         'path': os.path.join(rig.logs, name)} for name in ('a', 'b')]
rig.sinks = logs
rig.start()
wait_until(lambda: rig.books().get('pid') == rig.helper.pid, 10)
for sinks in (logs, logs[:1], logs):
    rig.sinks = sinks
    rig.configure()
    rig.send(signal.SIGHUP)
    wait_until(lambda: len(rig.books()['sinks']) == len(sinks), 10)
    rig.push(100)
    for sink in sinks:
        ok(rig.wait(name=sink['name']), 'hits are done with %d sinks'
           % len(sinks))
is_([rig.sink(name)['lost'] for name in ('a', 'b')], [0, 0],
    'what it was not to have is not lost')
is_(len(rig.numbers(os.path.join(rig.logs, 'b'))), 200, 'nor written')
rig.stop()
rig.remove()

done_testing()
