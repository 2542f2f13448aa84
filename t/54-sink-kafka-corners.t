#!/usr/bin/python3
"""Corners of parking: names that begin with a dot."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import ends, settles    # noqa: E402
from beacon_rig import Rig                      # noqa: E402

kafka = Cluster().start()
only = os.environ.get('ONLY', 'dot').split()


def rig_of(topic, log=True, properties=(), **options):
    rig = Rig(spool=True, lane='16m', **options)
    rig.sinks = [
        {'type': 'log', 'name': 'log', 'at': 'test:1',
         'path': os.path.join(rig.logs, rig.path)},
        {'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
         'brokers': kafka.plain, 'topic': topic, 'window': 400,
         'key': '$beacon_arg_n', 'properties': [
             {'name': name, 'value': value, 'at': 'test:6'}
             for name, value in (('compression.codec', 'none'),
                                 *properties)]}]
    if not log:
        del rig.sinks[0]
    return rig


def numbers(*topics):
    return sorted(int(record.hit()['args']['n'])
                  for record in kafka.read(*topics))


def parked(rig):
    """The topics with a file in the spool."""
    try:
        return sorted(os.listdir(os.path.join(rig.spool, 'kafka.parked')))
    except OSError:
        return []


# ---- a topic whose name begins with a dot

if 'dot' in only:
    rig = rig_of('.a-$beacon_site')
    rig.start()
    rig.push(1000)
    ok(settles(rig, done=0, parked_hits=1000, lost=0),
       'hits of a topic whose name begins with a dot are parked')
    rig.kill()
    rig.start()
    ok(rig.up() and settles(rig, done=0, parked_hits=1000, pending=1000,
                            lost=0), 'they outlive the helper')
    kafka.create('.a-s0')
    ok(settles(rig, done=1000, pending=0, lost=0), 'and are delivered')
    is_(numbers('.a-s0'), list(range(1000)), 'all of them, once')
    ends(rig)

done_testing()
