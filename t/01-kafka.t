#!/usr/bin/python3
"""The Kafka that other tests use: it starts, is read, dies and comes back;
the proxy before it is as bad a network as it is told to be."""

import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402

kafka = Cluster().start()
node, proxy = kafka.nodes[0], kafka.proxies[0]
ok(node.answers(), 'a broker starts')
kafka.create('hits', partitions=5)
is_(kafka.ask('topics'), ['hits'], 'a topic is made')
KEYS = ['', 'a', 'visitor', 'x' * 100, 'é', '0', '8f1c']
parts = kafka.ask('produce', topic='hits', keys=KEYS)
is_(kafka.count('hits'), len(KEYS), 'a Java producer fills it')
is_(kafka.count('no'), 0, 'a topic that is not there is empty')


def murmur2(data):
    """Kafka's hash of a key, from its definition."""
    mask, m = 0xffffffff, 0x5bd1e995
    h = 0x9747b28c ^ len(data)
    for i in range(0, len(data) - len(data) % 4, 4):
        k = int.from_bytes(data[i:i + 4], 'little') * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    tail = data[len(data) - len(data) % 4:]
    if tail:
        h = (h ^ int.from_bytes(tail, 'little')) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7fffffff


is_(parts, [murmur2(key.encode()) % 5 for key in KEYS],
    'keys go where murmur2 says')
found = {record.key: record.partition for record in kafka.read('hits')}
is_(found, dict(zip(KEYS, parts)), 'and are read from there')

node.kill()
is_(node.child.poll(), -9, 'a broker can be killed')
node.start()
is_(kafka.wait_count(len(KEYS), 'hits'), len(KEYS),
    'the next one has what was in it')

kafka.delete('hits')
ok(wait_until(lambda: not kafka.ask('topics')), 'a topic can be deleted')
kafka.create('hits')
is_(kafka.count('hits'), 0, 'and made again, empty')
kafka.ask('scram', user='someone', password='secret')
kafka.ask('deny', user='someone', topic='hits')
kafka.ask('allow', user='someone', topic='hits')
try:
    kafka.create('hits')
    ok(False, 'what Kafka refuses is an error')
except RuntimeError as error:
    like(str(error), 'already exists', 'what Kafka refuses is an error')

# ---- TLS

said = subprocess.run(
    ['openssl', 's_client', '-connect', kafka.tls, '-CAfile', kafka.ca,
     '-verify_return_error', '-brief'], input='', stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT, text=True, check=False).stdout
like(said, 'Verification: OK', 'TLS by the authority of the test')

# ---- the proxy

HELLO = b'\0\0\0\x0d\0\x12\0\0\0\0\0\x01\0\x03eye'


def ask(seconds=5):
    """Time until the broker answers through the proxy; None: it does not."""
    start = time.monotonic()
    try:
        with socket.create_connection(('127.0.0.1', proxy.port), 5) as sock:
            sock.settimeout(seconds)
            sock.sendall(HELLO)
            return time.monotonic() - start if sock.recv(4) else None
    except OSError:
        return None


ok(ask() is not None, 'the proxy passes')
proxy.delay = 0.3
ok(ask() > 0.5, 'it delays, both ways')
proxy.delay = 0
proxy.refuse = True
is_(ask(), None, 'it refuses')
proxy.refuse = False
wait_until(lambda: not proxy.pairs)
with socket.create_connection(('127.0.0.1', proxy.port), 5) as sock:
    sock.settimeout(5)
    sock.sendall(HELLO)
    sock.recv(4)
    is_(proxy.reset(), 1, 'it resets a connection')
    try:
        sock.sendall(HELLO)
        while sock.recv(4096):
            pass
        ok(False, 'which then is dead')
    except OSError:
        ok(True, 'which then is dead')
proxy.blackhole = True
is_(ask(0.5), None, 'it swallows')
proxy.heal()
ok(ask() is not None, 'and passes again')
done_testing()
