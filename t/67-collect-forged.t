#!/usr/bin/python3
"""A spy master whose edge comes by two feeds, or has its frames forged: each
hit is there once, and none of the edge's own is kept away."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_collect import Feed, Master, remove

ends = ['tcp://127.0.0.1:%d' % free_port() for _ in range(2)]
one, two = (Feed(end) for end in ends)
master = Master(connect=ends)
master.start()
ok(one.subscribed() and two.subscribed(), 'a master with two feeds of an edge')
two.epoch, two.n = one.epoch, 1000000
two.skip('shop', 1000)


def lines(n):
    return [one.line('shop') for _ in range(n)]


def count_is(hits, missing, name):
    """Hits of shop in the store, and what is missing."""
    found = [None]

    def there():
        site = master.store().sites['shop']
        found[0] = (site.taken, site.missing)
        return found[0] == (hits, missing)
    wait_until(there, 20, 0.1)
    is_(found[0], (hits, missing), name) \
        or diag(str(master.status()))


def repeated(n):
    return wait_until(lambda: master.status().get('repeated') == n, 20)


for line in lines(100):
    one.hit('shop', line=line)
    two.hit('shop', line=line)
count_is(100, 0, 'a hit that comes by both is there once')
ok(repeated(100), 'and counts as repeated')
sent = lines(40)
for line in sent:
    one.hit('shop', line=line)
count_is(140, 0, 'one brings hits')
for n, line in enumerate(sent):
    if n % 4:
        two.skip('shop')
    else:
        two.hit('shop', line=line)
ok(repeated(110), 'of which the other brings some')
for _ in range(20):
    one.hit('shop')
    two.skip('shop')
    two.beat('shop')
ok(wait_until(lambda: master.status().get('received') == 290, 20),
   'then heartbeats alone')
count_is(160, 0, 'what it lacks is no gap')
one.close()
for n in range(10):
    two.hit('shop', line=two.line('shop', n=1000 + n))
count_is(170, 0, 'one goes, the other goes on')
two.skip('shop', 5)
two.hit('shop', line=two.line('shop', n=2000))
count_is(171, 5, 'now it lacks what nobody has')

# ---- somebody who knows the feed's name, and its number

two.hit('shop', seq=two.seq['shop'] + 500000, line=two.line('shop', n=3000))
count_is(172, 500004, 'a forged hit makes a gap')
for n in range(50):
    two.hit('shop', line=two.line('shop', n=4000 + n))
count_is(222, 500004, 'but keeps none of the edge\'s own away')
two.skip('shop', 30)
two.hit('shop', line=two.line('shop', n=5000))
count_is(223, 500004, 'nor are they missing twice')
is_(master.status()['repeated'], 110, 'none of them is a repeated one')
two.close()
is_(master.stop(), 0, 'the master ends')
remove(master)

done_testing()
