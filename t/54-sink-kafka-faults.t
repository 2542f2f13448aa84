#!/usr/bin/python3
"""The broker dies, stands still, is slow, is cut off, resets: every hit
arrives, in order, and nobody else is concerned."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import (KafkaTrial, check_kafka,
                                kafka_conf)     # noqa: E402

seed()
kafka = Cluster().start()
node, proxy = kafka.nodes[0], kafka.proxies[0]
MIB = 1 << 20


def rss(pid):
    with open('/proc/%d/statm' % pid) as file:
        fields = file.read().split()
    return (int(fields[1]) - int(fields[2])) * 4096     # not shared memory


def configured(trial):
    """What README says that window= may take, and the helper's own."""
    with open(os.path.join(trial.env.log, 'load.jsonl'), 'rb') as file:
        record = max(map(len, file))
    return 11 * MIB + trial.window * (-(-record // 512) * 512 + 922)


def catches_up(trial, came, rate):
    """Prints what comes into Kafka while the load goes on."""
    done, start = trial.sink()['done'], time.monotonic()
    trial.moves(came // 2, 600)
    sink, took = trial.sink(), time.monotonic() - start
    diag('%d hits came in the outage; then %.1f x the rate that comes in, '
         '%d lost' % (came, (sink['done'] - done) / took / rate, sink['lost']))


# ---- dead for a while, under load; in the soak that takes 30 GB of disk

rate = count(3000, 20000)
kafka.create('hits', partitions=3)
trial = KafkaTrial(kafka, kafka_conf(kafka.plain), load={'rate': rate},
                   follow=not SOAK)     # who reads all of it at each look
trial.start()
ok(trial.moves(3000), 'hits flow')
before = rss(trial.env.helper_pid())
node.kill()
start = time.monotonic()
is_(trial.told(lambda sink: sink['brokers_up'] == 0, 5)['brokers_up'], 0,
    'a broker that died shows within 5 s')
before_it = trial.env.status()
down = count(30, 600)
trial.behind(60000, 120)
while time.monotonic() - start < down:
    time.sleep(0.5)
lasted = int(time.monotonic() - start)
status = trial.env.status()
came = status['capture']['accepted'] - before_it['capture']['accepted']
ok(came > 0 and status['sinks']['log']['done']
   - before_it['sinks']['log']['done'] > came // 2, 'the log goes on')
ok(status['sinks']['kafka']['pending'] >= came, 'what Kafka lacks is pending')
ok(status['spool']['used_bytes'] > 0, 'and in the spool')
after = rss(trial.env.helper_pid())
most = configured(trial) * 1.1
diag('%d -> %d of %d KiB' % (before // 1024, after // 1024, most // 1024))
if os.path.basename(BUILD) == 'build':
    ok(after <= most, 'memory is what is configured, and a tenth at most')
else:
    skip('a sanitizer keeps what is freed')
told = trial.env.error_lines('"kafka"')
if not ok(1 <= len(told) <= 2 + lasted // 30,
          'the error log tells it about once a minute'):
    diag('\n'.join(told))
node.start()
ok(trial.moves(seconds=30), 'it flows again')
if SOAK:
    catches_up(trial, came, rate)
trial.finish('a broker that was dead for a while', drained=count(60, 600))
ok(wait_until(lambda: trial.env.status()['spool']['used_bytes'] == 0, 20),
   'the spool is empty again')
is_(trial.sink()['producers'], 1, 'by the same producer')
trial.env.finish()
kafka.delete('hits')

# ---- stopped; slow; resets; a black hole

kafka.create('hits', partitions=2)
kafka.create('far', partitions=2)
trial = KafkaTrial(kafka, kafka_conf(kafka.plain)
                   + kafka_conf(kafka.proxied, 'far', name='far',
                                properties={'socket.timeout.ms': '3000'}))
trial.start()
ok(trial.moves(name='far'), 'hits flow')
node.pause()
ok(trial.behind(), 'a broker that stands still takes nothing')
time.sleep(3)
node.go_on()
ok(trial.moves(), 'until it goes on')
for n in range(count(8, 200)):
    time.sleep(random.uniform(0.1, 0.5))
    proxy.reset()
ok(trial.moves(name='far'), 'it survives resets of its connections')
proxy.delay = 0.2
ok(trial.moves(name='far'), 'a slow network lets it go on')
proxy.reset()
proxy.blackhole = True
ok(trial.behind(8000, name='far'), 'a black hole does not')
ok(wait_until(lambda: trial.sink()['pending'] < 4000, 30),
   'but concerns nobody else')
proxy.heal()
ok(trial.moves(name='far', seconds=40), 'it recovers from it')
trial.finish('a bad network')
check_kafka(kafka, trial.env, trial.loads, 'far', name='a bad network: every '
            'acknowledged hit is in Kafka beyond it, once, in order')
trial.env.finish()
kafka.delete('hits')
kafka.delete('far')

done_testing()
