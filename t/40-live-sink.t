#!/usr/bin/python3
"""The live store's sink: hits and gaps over restarts, reloads and floods."""

import glob
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_fault import RingFile
from beacon_live import Store, wait_told
from beacon_rig import Rig

MIB = 1 << 20
BURST = 3000            # fewer hits than the sink's queue has room for
seed()


class Live(Rig):
    def __init__(self, size=32 * MIB, visitors=300, log=True, **options):
        super().__init__(**options)
        self.live = {'type': 'live', 'name': 'live', 'at': 'test:5',
                     'size': size, 'visitors': visitors}
        self.sinks = [self.live]
        if log:
            self.sinks.append({'type': 'log', 'name': 'log', 'at': 'test:6',
                               'path': os.path.join(self.logs, 'all.jsonl')})
        self.names = 1

    def fill(self, count, sites=1, **options):
        self.names = sites
        return self.push(count, sites=sites, **options)

    def sent(self):
        """Of each site, where all pushes had as many sites."""
        return {'s%d' % i: len(range(i, self.next, self.names))
                for i in range(self.names)}

    def stores(self):
        return [os.path.basename(name) for name in
                glob.glob(os.path.join(self.ring, 'live.*'))]

    def check_live(self, name, unknown=0):
        store = wait_told(self.ring, self.sent(), unknown=unknown)
        bad = store.problems(self.sent(), unknown=unknown)
        if not ok(store.there and not bad, name):
            diag('\n'.join(bad[:10]))
            diag(str(self.sink('live')))
            self.show_errors()
        return store

    def burst(self):
        """Hits that are all there at once when the helper comes to them: it
        reads them in full batches, and fewer than the sink's queue holds,
        however late that is.  So nothing but a fault makes it miss one."""
        self.send(signal.SIGSTOP)
        good = self.fill(BURST, sites=self.names)
        self.send(signal.SIGCONT)
        return good

    def given_back(self):
        """Until the ring is empty.  A sink that begins takes what there is."""
        ring = RingFile(os.path.join(self.ring, 'ring.' + self.epoch))
        return wait_until(lambda: all(lane['tail'] == lane['reclaim']
                                      for lane in ring.headers()))


# ---- what comes is there

rig = Live()
rig.start()
rig.fill(3000, sites=7)
ok(rig.wait(name='live') and rig.wait(), 'hits are done')
store = rig.check_live('all of them are in the store, in order, once')
is_(store.missing(), 0, 'without a gap')
sink = rig.told('hits', lambda n: n is None) or rig.sink('live')
wait_until(lambda: rig.sink('live').get('hits') == 3000)
sink = rig.sink('live')
is_((sink['done'], sink['lost'], sink['pending'], sink['hits'], sink['sites'],
     sink['missing'], sink['missed_unknown'], sink['size']),
    (3000, 0, 0, 3000, 7, 0, 0, 32 * MIB), 'the books tell of it')
ok(0 < sink["used_bytes"] <= sink["size"],
   'and how much room it takes')
is_(sum(os.stat(os.path.join(rig.ring, name)).st_size
        for name in rig.stores() if len(name) == 21), 32 * MIB,
    'which is what was configured')

# ---- restarts

epoch = rig.stores()
is_(rig.stop(), 0, 'the helper ends')
rig.fill(700, sites=7)
rig.start()
ok(rig.wait(name='live'), 'the next one goes on')
is_(rig.check_live('nothing comes twice').missing(), 0, 'nor is missing')
is_(sorted(rig.stores()), sorted(epoch), 'with the same store')
for _ in range(count(12, 120)):
    rig.burst()
    time.sleep(random.choice((0.01, 0.1)) * random.random())
    rig.kill()
    rig.fill(1000, sites=7)
    rig.start()
    rig.wait(name='live')
ok(rig.wait(name='live') and rig.wait(), 'helpers are killed under load')
is_(rig.check_live('nothing is twice in the store').missing(), 0,
    'nothing is missing')
is_(rig.sink('live')['missed_unknown'], 0, 'nor unknown')
rig.balance('the books balance')
rig.check('the log is as it should be')

# ---- reloads

epoch = rig.stores()
rig.live['visitors'] = 600
ok(rig.reload() and rig.fill(70, sites=7) and rig.wait(name='live'),
   'a reload with other visitors')
is_(sorted(rig.stores()), sorted(epoch), 'keeps the store')
rig.check_live('and what is in it')
ok(rig.given_back(), 'the ring is empty')
rig.live['size'] = 16 * MIB
ok(rig.reload() and rig.fill(70, sites=7) and rig.wait(name='live'),
   'a reload with another size')
wait_until(lambda: Store(rig.ring).hits() >= 70)
store = Store(rig.ring)
is_((store.hits(), store.missing()), (70, 0), 'makes another store')
ok(wait_until(lambda: len([n for n in rig.stores() if len(n) == 21]) == 1)
   and not set(rig.stores()) & set(epoch) - {'live.places', 'live.passed'},
   'the old one is removed')
rig.sinks = [sink for sink in rig.sinks if sink['type'] != 'live']
ok(rig.reload() and wait_until(lambda: not rig.stores()),
   'a reload without a store leaves none')
ok(rig.fill(70, sites=7) and rig.wait() and rig.given_back(),
   'the log goes on')
rig.sinks.append(rig.live)
ok(rig.reload() and rig.fill(70, sites=7) and rig.wait(name='live'),
   'a reload with one again')
is_(wait_until(lambda: Store(rig.ring).hits() == 70), True,
    'has what came since')
rig.balance('the books balance')
is_(rig.stop(), 0, 'the helper ends')
rig.remove()

# ---- its thread gets no processor, while hits come and the log takes them

rig = Live()
rig.start()
rig.fill(700, sites=7)
ok(rig.wait(name='live'), 'hits are done')
thread = wait_until(lambda: proc.thread(rig.helper.pid, 'live'))
if proc.hold(thread):
    rig.fill(20000, sites=7, rate=20000)
    ok(rig.wait(), 'a sink that stands still holds up nobody')
    proc.let(thread)
    wait_until(lambda: rig.sink('live')['done'] + rig.sink('live')['lost']
               == rig.next)
    store = rig.check_live('what its queue has no room for is a gap')
    lost = rig.sink('live')['lost']
    ok(lost > 0, 'so it was')
    is_((store.missing(), rig.sink('live')['done'] + lost), (lost, rig.next),
       'to the hit, and the books tell of it')
    rig.balance('the books balance')
    rig.check('the log has all')
else:
    skip('no thread may be held here', 6)
is_(rig.stop(), 0, 'the helper ends')
rig.remove()

# ---- no room

rig = Live(size=512 * MIB)
if os.geteuid() == 0 and rig.mount(['-t', 'tmpfs', '-o', 'size=200m',
                                    'none'], rig.logs):
    rig.mounts.remove(rig.logs)
    ring = rig.ring
    rig.tool('fill_cli', rig.logs, 'new', 1 << 22, 8)
    rig.mounts.append(rig.logs)
    small = rig.logs
    rig.logs = os.path.join(rig.top, 'elsewhere')
    os.mkdir(rig.logs)
    rig.sinks[1]['path'] = os.path.join(rig.logs, 'all.jsonl')
    rig.epoch = [name[5:] for name in os.listdir(small)
                 if name.startswith('ring.')][0]
    rig.ring = small
    rig.live['size'] = 190 * MIB
    with open(os.path.join(small, 'ballast'), 'wb') as file:
        os.posix_fallocate(file.fileno(), 0, 50 * MIB)
    rig.start()
    ok(rig.fill(1000) and rig.wait(), 'a store without room holds up nobody')
    ok(wait_until(lambda: rig.sink('live').get('last_error'), 5),
       'the books say why')
    rig.balance('they balance')
    os.unlink(os.path.join(small, 'ballast'))
    ok(wait_until(lambda: rig.fill(10) and Store(rig.ring).hits() > 0, 10),
       'it is made when there is room')
    ok(rig.wait(name='log'), 'the log has all')
    rig.balance('the books balance')
    rig.stop()
rig.remove()

done_testing()
