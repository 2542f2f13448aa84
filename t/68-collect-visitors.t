#!/usr/bin/python3
"""A spy master with more visitors than it has room for: its memory is the
store's configured size, and the helper's own does not grow with them."""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_collect import MIB, Feed, Master, remove

VISITORS, PORTION = count(60000, 1000000), 2000
endpoint = 'tcp://127.0.0.1:%d' % free_port()
feed = Feed(endpoint)
master = Master(connect=[endpoint])
master.start()
ok(feed.subscribed(), 'a master with an edge')


def own():
    """MiB of the helper's memory that is in no file."""
    with open('/proc/%d/status' % master.helper.pid) as file:
        return next(int(line.split()[1]) for line in file
                    if line.startswith('RssAnon:')) >> 10


def store():
    """Bytes of the store's files."""
    return sum(os.path.getsize(name) for name in
               glob.glob(os.path.join(master.ring, 'live.????????????????')))


marks = []
for n in range(VISITORS):
    site, visitor = 's%d' % (n % 20), '%016x' % n
    feed.hit(site, visitor=visitor,
             line=feed.line(site, more='"visitor":"%s",' % visitor))
    if (n + 1) % PORTION == 0:
        if not wait_until(lambda: master.status().get('hits') == n + 1, 60):
            break
        marks.append(own())
is_(master.status()['hits'], VISITORS, '%d visitors' % VISITORS) \
    or diag(str(master.status()))
is_((master.status()['gap'], master.status()['ignored']), (0, 0),
    'each of them has come')
is_(store(), 64 * MIB, 'the store is as large as it is configured')
tenth = marks[:max(1, len(marks) // 10)]
if os.path.dirname(os.environ.get('BEACON_BUILD', '')):
    skip('memory under a sanitizer')
else:
    ok(marks[-1] < max(tenth) + 32, 'and the helper as it was')
diag('%d MiB after a tenth, %d at the end' % (max(tenth), marks[-1]))
feed.close()
is_(master.stop(), 0, 'the master ends')
remove(master)

done_testing()
