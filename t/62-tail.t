#!/usr/bin/python3
"""beacond tail: what a person sees of a feed; and what a stranger cannot do to
the terminal."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_spy import feed_until, subscribed

SERVER = '''
    location = /v.gif {
        beacon gif;
        beacon_site $beacon_arg_site;
        beacon_visitor $beacon_arg_vid;
        beacon_field country $beacon_arg_country;
    }'''


class Tail:
    """beacond tail, its lines as they come."""

    def __init__(self, *args, **options):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, 'beacond'), 'tail', *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **options)
        self.lines, self.errors = [], []
        for pipe, to in ((self.process.stdout, self.lines),
                         (self.process.stderr, self.errors)):
            threading.Thread(target=self.read, args=(pipe, to),
                             daemon=True).start()

    @staticmethod
    def read(pipe, to):
        for line in pipe:
            to.append(line.rstrip(b'\n'))

    def got(self, n):
        return bool(wait_until(lambda: len(self.lines) >= n))

    def told(self, pattern, where='errors'):
        return bool(wait_until(lambda: [
            line for line in getattr(self, where)
            if re.search(pattern, line.decode())]))

    def stop(self, signum=signal.SIGINT):
        """Its exit code, None if it does not end."""
        self.process.send_signal(signum)
        try:
            return self.process.wait(20 * slow())
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


# ---- usage

def usage(*args):
    done = tool('beacond', 'tail', *args, check=False)
    return done.returncode, done.stdout


for args, message in (
        ((), 'one ENDPOINT'), (('a', 'b'), 'one ENDPOINT'),
        (('--nope', 'x'), 'nope'), (('--json',), 'Usage'),
        (('udp://x',), 'must begin'), (('tcp://127.0.0.1',), 'port'),
        (('ipc://x',), 'absolute'),
        (('--site', 'a/b', 'ipc:///x'), "a site's name"),
        (('--filter', 'x', 'ipc:///x'), 'NAME=VALUE, 16 at most'),
        (('--curve', '/nowhere', 'ipc:///x'), 'cannot read')):
    code, said = usage(*args)
    ok(code == 2 and message in said, 'tail %s: %s' % (' '.join(args),
                                                       message))
for args in ((), ('tail',), ('dead-letter',)):
    like(tool('beacond', *args, '--help').stdout, r'tail \[--site SITE\]',
         'beacond %s --help tells of it' % ' '.join(args))
for args, message in (
        ((), 'list or retry'), (('send', '-c', 'x'), 'list or retry'),
        (('list',), '-c FILE'), (('retry', '-c'), 'requires an argument'),
        (('list', '-c', '/nowhere'), 'cannot read')):
    done = tool('beacond', 'dead-letter', *args, check=False)
    ok(done.returncode == 2 and message in done.stdout,
       'dead-letter %s: %s' % (' '.join(args), message))

# ---- people

env = Env(http='beacon_spy;', server=SERVER, workers=1)
env.start()
endpoint = 'ipc://' + os.path.join(env.ring, 'spy.sock')
tail = Tail(endpoint)
raw = Tail('--json', '--site', 'shop', endpoint)
short = Tail(endpoint, '--short', '--filter', 'e=pageview', '--filter',
             'k=a b')
ok(subscribed(env, 6), 'tails subscribe to hits and heartbeats')
env.get('/v.gif?site=shop&vid=8f1c&country=GR&e=pageview&k=a+b'
        '&ref=https://google.example/search?q=1',
        {'Referer': 'https://shop.example/c/165?utm=1'})
env.get('/px.gif?site=other&e=click')
env.get('/v.gif?site=shop&vid=9&e=click&k=a%20b')
ok(tail.got(3), 'a line a hit')
like(tail.lines[0], r'^\d\d:\d\d:\d\d shop shop\.example/c/165 8f1c GR '
     r'google\.example/search$', 'time, site, page, visitor, country, referrer')
like(tail.lines[1], r'^\S+ other - [0-9a-f]{16} - -$',
     'what is absent is a dash; a visitor is at least a hash')
ok(raw.got(2) and env.wait_drained(), '--json: the hits of a site')
is_([json.loads(line) for line in raw.lines],
    [{k: v for k, v in hit.items() if k != 'ip'}
     for hit in env.lines('shop.jsonl')], 'as they are in the log')
ok(short.got(1), '--short, and filters')
is_({k: v for k, v in json.loads(short.lines[0]).items() if k != 'time'},
    {'visitor': '8f1c', 'page': 'shop.example/c/165',
     'referrer': 'google.example/search', 'country': 'GR'},
    'the short form')

# ---- gaps

pid = env.kill_helper(signal.SIGTERM)
ok(wait_until(lambda: env.helper_pid() not in (None, pid)), 'a new helper')
ok(subscribed(env, 6), 'tails find it')
env.get('/px.gif?site=shop&back=1')
ok(tail.got(4) and raw.got(3), 'the feed goes on')
is_([line for line in tail.lines if b'missed' in line], [],
    'as another one: no gap')
for each in (short, raw):
    is_(each.stop(), 0, 'SIGINT ends a tail, and that is no error')
is_(len(raw.lines), 3, 'after all it had')
ok(feed_until(env, lambda spy: spy['subscriptions'] == 2), 'the feed notices')

# ---- nobody reads any more

process = subprocess.Popen(
    '%s tail --json %s | head -n 1 > %s/head' % (
        os.path.join(BUILD, 'beacond'), endpoint, env.root),
    shell=True, stderr=subprocess.PIPE, executable='/bin/bash')
ok(subscribed(env, 4), 'a tail into a pipe')
env.get('/px.gif?site=shop&n=1')
ok(wait_until(lambda: os.path.getsize(env.root + '/head') > 0),
   'prints its hit at once')
env.get('/px.gif?site=shop&n=2')
env.get('/px.gif?site=shop&n=3')
is_((process.wait(20 * slow()), process.stderr.read()), (0, b''),
    'and ends without a word when nobody reads any more')
is_(tail.stop(signal.SIGTERM), 0, 'SIGTERM ends a tail')

if os.geteuid() == 0:
    tail = Tail('ipc://%s/spy.sock' % env.ring, executable=env.helper,
                user=65534, group=65534, extra_groups=[])
    ok(tail.told('^-- ipc:///.*: Permission denied --$'),
       'who may not go there is told so')
    is_(tail.stop(), 0, 'and waits, as where nobody is')
else:
    skip('another user', 2)

# ---- strangers

port = free_port()
context = zmq.Context()
pub = context.socket(zmq.XPUB)
pub.setsockopt(zmq.LINGER, 0)
pub.setsockopt(zmq.SNDHWM, 0)
tail = Tail('tcp://127.0.0.1:%d' % port)
raw = Tail('--json', 'tcp://127.0.0.1:%d' % port)
brief = Tail('--short', 'tcp://127.0.0.1:%d' % port)
ok(tail.told('nobody is at tcp'), 'a tail says where nobody is')
pub.setsockopt(zmq.XPUB_VERBOSE, 1)
pub.bind('tcp://127.0.0.1:%d' % port)
news = [pub.recv() for _ in range(6) if pub.poll(10000)]
is_(sorted(news), [b'\x01hit/'] * 3 + [b'\x01stat/'] * 3,
    'and finds it when it comes')

FEED = b'00000000000000a1'
LINE = ('{"v":1,"id":"1-1-1","time":"2026-11-21T22:56:01.204Z","edge":"web7",'
        '"site":"shop","visitor":"%s","method":"GET","path":"/px.gif",'
        '"args":{"ref":"%s"},"referer":"%s","fields":{"country":"%s"}}')


def send(seq, line, site=b'shop', feed=FEED, visitor=b'v', edge=b'web7'):
    pub.send_multipart([b'hit/%s/' % site, b'%s %s %d %s' % (
        edge, feed, seq, visitor), line.encode()])


EVIL = '\x7f\x9b31m\u202egnp\u2028\u200f\u2066'
ESCAPED = r'\u007f\u009b31m\u202egnp\u2028\u200f\u2066'
send(1, LINE % (EVIL, EVIL, r'\u001b[2J\n' + EVIL, EVIL),
     visitor=(r'\u001b]0;x\u0007 y' + EVIL).encode())
ok(tail.got(1) and raw.got(1) and brief.got(1), 'a hit made of control codes')
is_(tail.lines[0].decode(),
    r'22:56:01 shop \u001b[2J\n%s \u001b]0;x\u0007_y%s %s %s' % (
        ESCAPED, ESCAPED, ESCAPED, ESCAPED), 'is shown as text, in one line')
is_(json.loads(raw.lines[0])['args']['ref'], EVIL, 'as JSON it is the same')
for each in (tail, raw, brief):
    ok(not re.search(r'[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066\u200f]',
                     each.lines[0].decode()),
       'no control character comes to the terminal')
send(2, LINE % ('v', 'x' * 5000, 'https://a.example/' + 'é' * 5000, 'GR'))
ok(tail.got(2), 'a long one')
ok(len(tail.lines[1]) < 400 and '…'.encode() in tail.lines[1], 'is cut')

PLAIN = LINE % ('v', '', '', '')
send(20, PLAIN)
ok(tail.got(4) and raw.got(3), 'numbers are missing')
is_(tail.lines[2], b'-- missed 17 hits of shop from web7 --', 'a gap is a line')
ok(raw.told('^-- missed 17 hits of shop from web7 --$'),
   'beside the JSON, where JSON is printed')
pub.send_multipart([b'stat/shop/', b'web7 %s 21' % FEED])
ok(tail.got(5), 'a heartbeat')
is_(tail.lines[4], b'-- missed 1 hit of shop from web7 --', 'tells too')
send(21, PLAIN)
send(5, PLAIN)
send(1, PLAIN, feed=b'00000000000000a2')
send(22, PLAIN, feed=b'00000000000000a2')
ok(tail.got(10), 'late ones, and another feed')
is_([line for line in tail.lines[5:] if line.startswith(b'--')],
    [b'-- missed 20 hits of shop from web7 --'],
    'make no gap but their own')

before = len(tail.lines)
BAD = [[b'hit/shop/', b'web7 %s 30' % FEED, PLAIN.encode()],
       [b'hit/shop/', b'web7 %s 30 v' % FEED],
       [b'hit/shop/', b'web7 %s 30 v' % FEED, PLAIN.encode(), b'more'],
       [b'hit/shop/', b'web7 %s 30 v' % FEED, PLAIN.encode()] + [b''] * 9,
       [b'hit/shop/', b'web7 %s 30 v' % FEED, b'{"v":1}'],
       [b'hit/shop/', b'web7 %s 30 v' % FEED, b'\xff' * 100],
       [b'hit/shop/', b'web7 %s 30 v' % FEED, PLAIN.encode() + b'\n'],
       [b'hit/other/', b'web7 %s 1 v' % FEED, PLAIN.encode()],
       [b'hit/shop/', b'web8 %s 1 v' % FEED, PLAIN.encode()],
       [b'hit/shop/', b'web7 %s 30 "' % FEED, PLAIN.encode()],
       [b'hit/shop/', b'web7 %s x v' % FEED, PLAIN.encode()],
       [b'stat/shop/', b'web7 %s 30' % FEED, b'x'],
       [b'hit/']]
for message in BAD:
    pub.send_multipart(message)
send(1, PLAIN, feed=b'00000000000000a3', visitor=b'last')
ok(tail.told(' last ', 'lines'), 'what is no hit')
ok(wait_until(lambda: sum(
    int(m.group(1)) for line in list(tail.lines)
    if (m := re.match(rb'-- (\d+) messages are no hits --', line)))
    == len(BAD)), 'is counted, and not shown')
is_(len([line for line in tail.lines[before:] if b'shop ' in line
         and not line.startswith(b'--')]), 1, 'none of it')

seed()
import random
for n in range(3000):
    text = bytearray((LINE % (EVIL, 'r', 'https://a.b/c', 'GR')).encode())
    for _ in range(random.randrange(1, 4)):
        text[random.randrange(len(text))] = random.randrange(256)
    pub.send_multipart([b'hit/shop/', b'web7 %s %d v' % (FEED, n + 100),
                        bytes(text)])
TABS = PLAIN[:-1] + ',"data":{"a":\t\r\n[1,\t2]}}'
send(1, TABS, feed=b'00000000000000a5')
send(1, PLAIN, feed=b'00000000000000a4', visitor=b'end')
ok(tail.told(' end ', 'lines'), '3,000 mutated hits do it no harm')
ok(not any(re.search(rb'[\x00-\x1f\x7f]', line) for line in tail.lines),
   'nor the terminal')
ok(wait_until(lambda: any(b'"data":' in line for line in raw.lines)
              and any(b'"visitor":"end"' in line for line in brief.lines)),
   'JSON with tabs between its tokens')


def valid(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


is_([line for line in list(raw.lines) + list(brief.lines)
     if not valid(line)], [], 'is JSON still, as all of it')
for each in (tail, raw, brief):
    is_(each.stop(), 0, 'it ends well')
pub.close()
context.term()

done_testing()
