#!/usr/bin/python3
"""Keys: who has one of the peers' gets hits, and nobody else; a reload that
changes them; an edge that connects to a master, which has to be the one."""

import os
import sys

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_spy import Subscriber, feed, feed_until, subscribed

OURS, FRIEND, STRANGER, MASTER = (zmq.curve_keypair() for _ in range(4))


def curve(env, peers=(), server=None):
    path = os.path.join(env.root, 'spy.curve')
    with open(path, 'wb') as file:
        file.write(b'public %s\nsecret %s\n' % OURS)
        for peer in peers:
            file.write(b'peer %s\n' % peer)
        if server:
            file.write(b'server %s\n' % server)
    os.chmod(path, 0o640)
    if env.user:
        import pwd
        os.chown(path, 0, pwd.getpwnam(env.user).pw_gid)
    return path


env = Env(workers=1)
port = free_port()
endpoint = 'tcp://127.0.0.1:%d' % port
env.configure(http='beacon_spy bind=%s curve=%s;' % (
    endpoint, curve(env, [FRIEND[0]])))
env.start()

right = Subscriber(endpoint, keys=(*FRIEND, OURS[0]))
ok(subscribed(env), 'a peer with its key is let in')
strangers = {
    'a key that is not a peer\'s': Subscriber(
        endpoint, keys=(*STRANGER, OURS[0])),
    'a peer that takes us for another': Subscriber(
        endpoint, keys=(*FRIEND, STRANGER[0])),
    'a peer\'s public key without its secret': Subscriber(
        endpoint, keys=(FRIEND[0], STRANGER[1], OURS[0])),
    'no key at all': Subscriber(endpoint)}
ok(feed_until(env, lambda spy: spy['refused'] > 0),
   'who has another key is turned away, which is counted')
for n in range(50):
    env.get('/px.gif?site=shop&n=%d' % n)
ok(right.got(50), 'hits come')
for what, sub in strangers.items():
    sub.quiet(0.3)
    is_((len(sub.hits), len(sub.stats)), (0, 0), 'nothing for %s' % what)
is_(feed(env)['subscriptions'], 1, 'nor is any of them heard')
is_((right.gap, right.hits[0].line['args']['n']), (0, '0'),
    'a peer misses nothing')

# ---- a plain client that says things

with Client(port) as client:
    client.sock.sendall(b'GET / HTTP/1.1\r\n\r\n' + os.urandom(3000))
ok(env.get('/px.gif?site=shop').status == 200 and right.got(51),
   'a client of another protocol changes nothing')
for sub in strangers.values():
    sub.close()

# ---- other peers by a reload

path = curve(env, [STRANGER[0]])
ok(env.reload(), 'a reload with another peer in the file')
late = Subscriber(endpoint, keys=(*STRANGER, OURS[0]))


def reaches(sub):
    """A hit comes to it.  What the status says may be of the feed before."""
    env.get('/px.gif?site=shop')
    return sub.until(lambda: sub.hits, 0.1)


ok(wait_until(lambda: reaches(late)), 'it gets hits')
ok(feed_until(env, lambda spy: spy.get('subscriptions') == 1
              and spy['refused'] > 0), 'that one is let in, the other is not')
right.quiet(0.3)
is_(len(right.hits), 51, 'the other none')
for sub in (right, late):
    sub.close()

# ---- an edge that connects


def master(keys):
    where = 'tcp://127.0.0.1:%d' % free_port()
    return Subscriber(where, bind=True, serve=keys), where


good, here = master(MASTER)
wrong, there = master(STRANGER)
env.configure(http='beacon_spy connect=%s connect=%s curve=%s;' % (
    here, there, curve(env, server=MASTER[0])))
ok(env.reload(), 'a feed that connects to masters')
ok(wait_until(lambda: reaches(good)),
   'sends hits to the one that has the key')
ok(subscribed(env), 'which it has found')
wrong.quiet(0.3)
is_(len(wrong.hits), 0, 'none to the one that has not')
good.close()
wrong.close()

done_testing()
