#!/usr/bin/python3
"""Errors that a real broker will not give on demand, by librdkafka's mock
cluster: fatal ones recreate the producer and replay; others are tried again."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka_fault import Mock, modest     # noqa: E402
from beacon_rig import Rig                      # noqa: E402

WINDOW = 500


def trial(what, *errors, api=Mock.PRODUCE, doubles=0, fatal=False,
          ordered=True):
    """Hits through a cluster that answers these errors once."""
    mock = Mock()
    mock.ask('topic', 'hits', 1)
    rig = Rig(path='all.log', spool=True, lane='4m')
    rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                  'brokers': mock.brokers, 'topic': 'hits',
                  'window': WINDOW, 'max_topics': 8}]
    if api == Mock.PRODUCE:
        rig.start()
        rig.push(1000)
        ok(rig.wait(name='kafka'), '%s: hits flow before' % what)
        mock.ask('push', api, *errors)
    else:
        mock.ask('push', api, *errors)
        rig.start()
    rig.push(5000, rate=10000)
    if fatal:
        ok(wait_until(lambda: rig.sink('kafka').get('producers', 0) > 1, 5),
           '%s: another producer is made within 5 s' % what)
        ok('topic "hits":' not in rig.error_text(),
           '%s: that is no fault of the topic' % what)
    if not ok(rig.wait(name='kafka', seconds=40), '%s: all is done' % what):
        diag(rig.books())
        rig.show_errors()
    sink = rig.sink('kafka')
    is_(sink.get('lost'), 0, '%s: nothing is lost, say the books' % what)
    if fatal is False:                  # None: librdkafka's to decide
        is_(sink.get('producers'), 1, '%s: by one producer' % what)
    if fatal:
        modest(rig, 700, what)
    values = mock.values('hits', os.path.join(rig.top, 'values'))
    numbers = [int(json.loads(value)['args']['n']) for value in values]
    is_(set(numbers), set(range(rig.next)), '%s: nothing is lost' % what)
    more = len(numbers) - len(set(numbers))
    if not ok(more <= doubles, '%s: at most %d are doubled' % (what, doubles)):
        diag('%d' % more)
    first = []
    seen = set()
    for n in numbers:
        if n not in seen:
            seen.add(n)
            first.append(n)
    if ordered:
        ok(first == sorted(first), '%s: the first copies are in order' % what)
    is_(rig.stop(), 0, '%s: the helper ends well' % what)
    rig.remove()
    mock.stop()


def renewal():
    """A topic for each second of the hits' time: librdkafka would remember
    all of them."""
    mock = Mock()
    rig = Rig(path='all.log', spool=True, lane='4m')
    rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                  'brokers': mock.brokers, 'topic': 't-%s',
                  'window': WINDOW, 'max_topics': 2}]
    rig.start()
    rig.push(300, start=1700000000, step=1000)
    if not ok(rig.wait(name='kafka', seconds=120), 'many topics: all is done'):
        diag(rig.books())
        rig.show_errors()
    sink = rig.sink('kafka')
    ok(sink['producers'] > 1, 'another producer forgets them')
    is_((sink['done'], sink['lost']), (300, 0), 'nothing is lost')
    ok('a new producer is made' not in rig.error_text(),
       'which is no error')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()
    mock.stop()


renewal()
trial('a leader that is none any more', Mock.NOT_LEADER, Mock.NOT_LEADER)
trial('time-outs', Mock.TIMED_OUT, 0, Mock.TIMED_OUT)
trial('too few replicas', *[Mock.TOO_FEW] * 5)
trial('a sequence out of order', 0, Mock.OUT_OF_ORDER, Mock.OUT_OF_ORDER,
      Mock.OUT_OF_ORDER, Mock.OUT_OF_ORDER, doubles=WINDOW, fatal=True)
trial('no rights to be idempotent', Mock.AUTHORIZATION, api=Mock.INIT,
      doubles=WINDOW, fatal=None)
# what is sent again alone comes behind what was on its way
trial('a batch that is too large', Mock.TOO_LARGE, ordered=False)
done_testing()
