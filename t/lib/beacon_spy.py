"""An independent receiver of the spy feed, by pyzmq, in a process of its own:

    sub = Subscriber(endpoint, topics=[b'hit/shop/'])
    sub.ready(env)                      # the feed has heard of it
    sub.got(10)                         # hits, once there are so many
    sub.hits, sub.stats, sub.gap        # what came, and what is missing
    sub.close()
"""

import json
import time

import zmq

from beacon_test import wait_until


class Hit:
    def __init__(self, frames):
        self.topic, self.head, self.json = frames
        edge, feed, seq, self.visitor = self.head.split(b' ', 3)
        self.edge, self.feed, self.seq = edge.decode(), feed, int(seq)
        self.site = self.topic[4:-1].decode()

    @property
    def line(self):
        return json.loads(self.json)


class Counter:
    """Gaps, by beacon_spy.h's rule and nothing else of ours."""

    def __init__(self):
        self.last, self.gap, self.feeds = {}, {}, set()

    def see(self, topic, head):
        words = head.split(b' ', 3)
        site, stat = topic.split(b'/')[1], topic.startswith(b'stat/')
        key, feed, seq = (words[0], site), words[1], int(words[2])
        self.feeds.add(feed)
        known = self.last.get(key)
        if known and known[0] == feed:
            missing = seq - known[1] - (0 if stat else 1)
            if missing > 0:
                self.gap[site.decode()] = (self.gap.get(site.decode(), 0)
                                           + missing)
            seq = max(seq, known[1])
        self.last[key] = (feed, seq)

    @property
    def total(self):
        return sum(self.gap.values())


class Subscriber:
    all = []            # subscribes again only when its thread looks at it

    def __init__(self, endpoint, topics=(b'',), bind=False, hwm=0, keys=None,
                 serve=None, rcvbuf=None):
        """keys: public, secret and the server's; serve: public and secret of
        one that is the server."""
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, hwm)
        self.socket.setsockopt(zmq.SNDHWM, 0)           # subscriptions
        if rcvbuf:
            self.socket.setsockopt(zmq.RCVBUF, rcvbuf)
        if keys:
            (self.socket.curve_publickey, self.socket.curve_secretkey,
             self.socket.curve_serverkey) = keys
        if serve:
            self.socket.curve_publickey, self.socket.curve_secretkey = serve
            self.socket.curve_server = True
        for topic in topics:
            self.socket.setsockopt(zmq.SUBSCRIBE, topic)
        if bind:
            self.socket.bind(endpoint)
        else:
            self.socket.connect(endpoint)
        self.hits, self.stats = [], []
        self.counter = Counter()
        Subscriber.all.append(self)

    def poll(self, seconds=0.0):
        """Takes what is there; True if anything was."""
        any_ = False
        while self.socket.poll(seconds * 1000 if not any_ else 0):
            frames = self.socket.recv_multipart()
            any_ = True
            self.counter.see(frames[0], frames[1])
            if frames[0].startswith(b'hit/'):
                self.hits.append(Hit(frames))
            else:
                self.stats.append(frames)
        return any_

    def got(self, hits, seconds=10):
        """True once there are so many hits."""
        def there():
            self.poll(0.01)
            return len(self.hits) >= hits
        return bool(wait_until(there, seconds, 0))

    def until(self, condition, seconds=10):
        def there():
            self.poll(0.01)
            return condition()
        return wait_until(there, seconds, 0)

    def quiet(self, seconds=0.5):
        """Takes what comes until nothing has for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = len(self.hits)
            self.poll(0.05)
            if len(self.hits) > before:
                end = time.monotonic() + seconds

    @property
    def gap(self):
        return self.counter.total

    def close(self):
        Subscriber.all.remove(self)
        self.socket.close(0)
        self.context.term()


def feed(env, name='spy'):
    return env.status()['sinks'][name]


def feed_until(env, condition, name='spy', seconds=10):
    """Waits until condition(status of the feed, as the helper that is there
    now says it); True if it is."""
    def there():
        for sub in Subscriber.all:
            sub.poll()
        status = env.status()
        return (status['helper']['pid'] == env.helper_pid()
                and condition(status['sinks'][name]))
    return bool(wait_until(there, seconds))


def subscribed(env, n=1, name='spy', seconds=10):
    """True once the feed has just so many subscriptions."""
    return feed_until(env, lambda spy: spy.get('subscriptions') == n, name,
                      seconds)
