"""A helper with a spy feed, without nginx."""

import os
import re
import socket
import subprocess
import sys

from beacon_rig import Rig
from beacon_spy import Subscriber
from beacon_test import TOP, is_, ok, skip, slow, wait_until

MB = 1 << 20


def greet(sock, endpoint, kind=b'SUB'):
    """A peer as ZeroMQ sees it, each step once its own is there."""
    sock.settimeout(10 * slow())
    sock.connect(endpoint[6:])
    introduce(sock, kind)


def introduce(sock, kind):
    sock.sendall(b'\xff' + bytes(8) + b'\x7f\x03\x00NULL' + bytes(48))
    sock.recv(64, socket.MSG_WAITALL)
    sock.sendall(b'\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03' + kind)
    sock.recv(2)


def pour(sock, data, most, end=None):
    """Sends this again and again, until the event end; True: it is cut off
    before it has sent so much."""
    try:
        while most > 0 and not (end and end.is_set()):
            most -= sock.send(data)
    except ConnectionError:
        return True
    except TimeoutError:
        pass
    return False


def flood(endpoint, data, most, kind=b'SUB', end=None):
    """A peer that connects and pours."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            greet(sock, endpoint, kind)
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return pour(sock, data, most, end)


def lure(endpoint, data, most):
    """A publisher that others connect to, and that pours into the first."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(endpoint[6:])
        listener.listen()
        listener.settimeout(20 * slow())
        sock = listener.accept()[0]
    with sock:
        sock.settimeout(10 * slow())
        introduce(sock, b'PUB')
        return pour(sock, data, most)


class SpyRig(Rig):
    """A log, and a feed."""

    def __init__(self, nofile=None, **spy):
        super().__init__(lane='16m', lanes=8)
        self.endpoint = 'ipc://' + os.path.join(self.top, 'spy.sock')
        spy = {'type': 'spy', 'name': 'spy', 'bind': [self.endpoint],
               'ip': False, 'insecure': False, 'at': 'test:5', **spy}
        log = {'type': 'log', 'name': 'log', 'at': 'test:1',
               'path': os.path.join(self.logs, 'all.jsonl')}
        self.sinks = [log, spy]
        self.start(nofile=nofile)
        self.up()
        self.subs, self.others, self.marks = [], [], []

    def spy(self, key):
        return self.sink('spy').get(key, 0)

    def until(self, condition, seconds=20):
        def there():
            for sub in self.subs:
                sub.poll()
            return condition()
        return bool(wait_until(there, seconds, 0.02))

    def subscribe(self, n=None, **options):
        sub = Subscriber(self.endpoint, **options)
        self.subs.append(sub)
        self.until(lambda: self.spy('subscriptions') >= (n or len(self.subs)))
        return sub

    def sleeper(self, n, topic=''):
        """A subscriber that never reads, in a process of its own."""
        sleeper = subprocess.Popen(
            [sys.executable, os.path.join(TOP, 't/lib/spy_sleeper.py'),
             self.endpoint, topic], stdout=subprocess.PIPE)
        self.others.append(sleeper)
        sleeper.stdout.readline()
        ok(self.until(lambda: self.spy('subscriptions') >= n),
           'a subscriber that never reads')
        return sleeper

    def remove(self):
        for other in self.others:
            other.kill()
            other.wait()
        self.others = []
        super().remove()

    def rest(self):
        """Others end, by force."""
        while self.others:
            other = self.others.pop()
            other.kill()
            other.wait()

    def rss(self):
        with open('/proc/%d/status' % self.helper.pid) as file:
            return int(re.search(r'VmRSS:\s+(\d+)', file.read()).group(1)) \
                << 10

    def bounded(self, grown, limit, name):
        """A sanitizer keeps what is freed: its memory says nothing."""
        if os.path.dirname(os.environ.get('BEACON_BUILD', '')):
            skip('memory under a sanitizer')
        else:
            ok(grown < limit, name)

    def known(self, sub, seconds=20):
        """All that was pushed has come, or is known to be missing."""
        return self.until(lambda: len(sub.hits) + sub.gap >= self.next,
                          seconds)

    def lead(self, sub, portions, count, **options):
        """Hits, as fast as the subscriber takes them, not the clock's.  What
        is queued meanwhile: peers that are silent for 15 s are cut off."""
        for _ in range(portions):
            if not self.push(count, **options) or not self.known(sub, 60):
                return False
            self.marks.append(self.spy('queued_bytes'))
        return True

    @staticmethod
    def quiet(sub, seconds):
        """Nothing comes for so long; what came is forgotten."""
        sub.poll()
        sub.stats.clear()
        return not sub.poll(seconds)

    def end(self):
        for sub in self.subs:
            sub.close()
        is_(self.stop(), 0, 'the helper ends well')
        self.remove()
