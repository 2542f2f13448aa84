#!/usr/bin/python3
"""beacond by itself: its options, its exit codes, its configuration check, and
life without a supervisor."""

import glob
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402


def beacond(*args, text=None):
    """(exit code, standard output, standard error)"""
    done = subprocess.run([os.path.join(BUILD, 'beacond'), *args], input=text,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def names_in_sources():
    found = set()
    for path in glob.glob(os.path.join(TOP, 'src', '*', '*.c')):
        with open(path, encoding='utf-8') as file:
            found |= set(re.findall(r'BEACON(?:D|_LIVE)_POINT\("([^"]*)"\)',
                                    file.read()))
    return found


# ---- options

code, out, _ = beacond('-V')
is_(code, 0, '-V exits with 0')
like(out, r'^beacond \d+\.\d+\.\d+ \(ring layouts', '-V prints the version')

code, out, _ = beacond('--help')
is_(code, 0, '--help exits with 0')
like(out, r'^Usage: beacond -c FILE', '--help prints the usage')

code, out, _ = beacond('--points')
is_(code, 0, '--points exits with 0')
is_({line.split('\t')[0] for line in out.splitlines()}, names_in_sources(),
    'every point in the sources stands in the table, and none besides')

is_(beacond()[0], 1, 'without a configuration it exits with 1')
is_(beacond('--what')[0], 1, 'so it does with an unknown option')
is_(beacond('-c', 'x', 'y')[0], 1, 'and with one argument too many')
is_(beacond('-c', '/nonexistent')[0], 1, 'and without the file')


# ---- -t

GOOD = {'v': 2, 'generation': 0, 'build': '0.1.0', 'edge': 'web7',
        'ring': {'dir': '/run/b', 'lane_size': 65536, 'lanes': 2,
                 'at': 'n.conf:3'},
        'sinks': [{'type': 'log', 'name': 'log', 'path': '/l/$beacon_site',
                   'at': 'n.conf:5'}]}


def check(**changes):
    return beacond('-t', '-c', '-', text=json.dumps({**GOOD, **changes}))


def log(**changes):
    return {'sinks': [{**GOOD['sinks'][0], **changes}]}


is_(check(), (0, '', ''), '-t says nothing about a good configuration')
is_(check(v=1), (0, '', ''), 'nor about one of the version before')
is_(check(sinks=[])[:2],
    (0, 'beacond: warning: no sink is durable: hits are lost as they come\n'),
    'a warning does not change the exit code')

code, out, err = check(**log(path='/l/$nope', timezone='Not/There'))
is_((code, err), (1, ''), 'a wrong one exits with 1')
like(out, r'^n\.conf:5: "/l/\$nope": .*nope', 'a complaint names the place')
is_(len(out.splitlines()), 2, 'there is one line for each complaint')

code, out, _ = check(v=99)
is_((code, out), (1, 'beacond: configuration version 99 is not one this build '
                     'reads (1 and 2)\n'),
    'what has no place is told by beacond')
is_(check(**log(path='/run/b/x'))[0], 1,
    'a log among the files of the ring is refused')


# ---- without a supervisor

env = Env(helper='external', level='notice')
env.start()
conf = os.path.join(env.ring, 'beacon.json')


def external(user=env.user):
    """A helper as a service manager would start it: as the worker user."""
    options = {}
    if user:
        options = dict(user=user, group=pwd.getpwnam(user).pw_gid,
                       extra_groups=[])
    with open(env.error_log, 'ab') as log:
        return env.spawn([env.helper, '-c', conf], stderr=log, **options)


helper = external()
ok(wait_until(lambda: env.helper_pid() == helper.pid),
   'an external helper starts')
is_(env.get('/px.gif?site=shop&n=1').status, 200, 'a hit is taken')
ok(env.wait_drained(), 'and drained')

if env.user:
    is_(external(user='').wait(20 * slow()), 1,
        'as root, where the workers are another user, it exits with 1')
else:
    skip('not root')

second = external()
is_(second.wait(20 * slow()), 3, 'a second helper exits with 3')
is_(env.helper_pid(), helper.pid, 'and the first one goes on')

before = env.hello()[1]
ok(env.reload(), 'nginx reloads')
ok(wait_until(lambda: env.hello()[1] > before),
   'a reload tells the external helper')
is_(env.helper_pid(), helper.pid, 'which goes on')
ok(env.wait_error('configuration %d is in use' % env.hello()[1]),
   'with the new configuration')

env.kill(signal.SIGUSR1)
ok(env.wait_error('beacond: reopening'), 'USR1 to nginx reaches it')
helper.send_signal(signal.SIGUSR1)
ok(wait_until(lambda: len(env.error_lines('beacond: reopening')) == 2),
   'and so does one of its own')
lines = len(env.error_lines('is in use'))
helper.send_signal(signal.SIGHUP)
ok(wait_until(lambda: len(env.error_lines('is in use')) > lines),
   'HUP makes it read the configuration again')

with open(conf, encoding='utf-8') as file:
    text = file.read()
with open(conf, 'w', encoding='utf-8') as file:
    file.write('{')
helper.send_signal(signal.SIGHUP)
ok(env.wait_error('the old configuration stays'),
   'one that is broken is not used')
is_(env.get('/px.gif?site=shop&n=2').status, 200, 'the old one goes on')
ok(env.wait_drained(), 'and drains')
with open(conf, 'w', encoding='utf-8') as file:
    file.write(text)

is_(env.get('/px.gif?site=shop&n=3').status, 200, 'a hit')
helper.send_signal(signal.SIGTERM)
is_(helper.wait(20 * slow()), 0, 'TERM ends it, although the workers go on')
ok(env.error_lines('time is up, 0 hits stay'), 'with nothing left behind')

ok(wait_until(lambda: env.error_lines('the helper is gone')),
   'nginx notices that it is gone')
ok(not env.helper_pids(), 'and starts none')
is_(env.get('/px.gif?site=shop&n=4').status, 200, 'hits wait in the ring')

helper = external()
ok(env.wait_drained(), 'for the next one')
ok(env.wait_error('helper %d adopted' % helper.pid), 'which nginx finds')

# ---- the control socket

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
    sock.settimeout(10)
    sock.connect(os.path.join(env.ring, 'beacond.sock'))
    hello = sock.recv(4096).decode().split()
    is_(hello[0], 'HELLO', 'the control socket says HELLO')
    sock.send(b'ADOPT 0')
    is_(sock.recv(4096).decode(), 'DISPLACED ' + hello[2],
        'a lower generation may not adopt')
    sock.send(b'STOP 0 0')
    is_(sock.recv(4096).decode(), 'DISPLACED ' + hello[2],
        'and may not stop it')
    for junk in (b'STOP', b'ADOPT -', b'STOP 1', b'x' * 400, b'\0\0'):
        sock.send(junk)
    sock.send(b'REOPEN')
    ok(env.wait_error('unknown request "xxx'), 'junk is not obeyed')

peers = []
for _ in range(40):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.setblocking(False)
    try:
        peer.connect(os.path.join(env.ring, 'beacond.sock'))
    except BlockingIOError:
        pass
    peers.append(peer)
is_(env.get('/px.gif?site=shop&n=5').status, 200,
    'a crowd on the socket hinders no hit')
ok(env.wait_drained(), 'nor its way')
for peer in peers:
    peer.close()
ok(wait_until(lambda: env.helper_pid() == helper.pid),
   'when it leaves, the socket answers again')

env.stop(helper=False)
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as old, \
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as new:
    for sock in (old, new):
        sock.settimeout(30)
        sock.connect(os.path.join(env.ring, 'beacond.sock'))
        generation = int(sock.recv(4096).split()[2])
    with open(conf, encoding='utf-8') as file:
        text = file.read()
    with open(conf, 'w', encoding='utf-8') as file:
        file.write(text.replace('"generation":%d' % generation,
                                '"generation":%d' % (generation + 1)))
    stops = len(env.error_lines('for up to 20000 ms'))
    old.send(b'STOP 20000 %d' % generation)
    ok(wait_until(lambda: len(env.error_lines('for up to 20000 ms')) > stops),
       'told to stop, with nothing to wait for but a published successor')
    new.send(b'ADOPT %d' % (generation + 1))
    is_(new.recv(4096).decode(), 'ADOPTED %d' % (generation + 1),
        'it is adopted by that one')
    is_(old.recv(4096).decode(), 'DISPLACED %d' % (generation + 1),
        'and the old one is told')

ok(env.helper_pid() == helper.pid, 'it goes on')
helper.send_signal(signal.SIGTERM)
is_(helper.wait(10 * slow()), 0, 'with no workers left, TERM ends it at once')
ok(not os.path.exists(os.path.join(env.ring, 'beacond.sock')),
   'and its socket is gone')
is_(sorted(int(line['args']['n']) for line in env.lines()), [1, 2, 3, 4, 5],
    'every hit was logged')

# ---- a signal that comes before it is ready

env = Env(level='notice')
early = os.path.join(env.root, 'early')
with open(early, 'w', encoding='ascii') as file:
    file.write('#!/bin/sh\nfor name in HUP USR1; do kill -$name $$; done\n'
               'exec %s "$@"\n' % env.helper)
os.chmod(early, 0o755)
env.configure(helper=early)
env.start(ready=False)
ok(wait_until(lambda: env.error_lines('beacond: reopening')
              and env.error_lines('is in use')),
   'what is sent to a helper in its first moment waits until it is ready')
is_(env.get('/px.gif?site=shop&n=1').status, 200, 'a hit is taken')
ok(env.wait_drained(), 'and drained')
env.stop()

# one that a service manager starts tells him when it takes signals

for abstract in (True, False):
    env = Env(helper='external', level='notice')
    env.start()
    conf = os.path.join(env.ring, 'beacon.json')
    place = ('\0' if abstract else '') + os.path.join(env.root, 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        manager.settimeout(20 * slow())
        if not abstract:
            os.chmod(place, 0o777)
        os.environ['NOTIFY_SOCKET'] = place.replace('\0', '@')
        helper = external()
        del os.environ['NOTIFY_SOCKET']
        is_(manager.recv(100), b'READY=1', 'a service manager is told')
        helper.send_signal(signal.SIGHUP)
        helper.send_signal(signal.SIGUSR1)
    ok(wait_until(lambda: env.error_lines('beacond: reopening')
                  and env.error_lines('is in use')),
       'who is told so may send signals at once')
    is_(helper.poll(), None, 'the helper lives')
    env.stop()

# also one whose queue is full just then


def telling():
    """The helper waits for room in that queue."""
    with open('/proc/%d/wchan' % helper.pid, encoding='ascii') as wchan:
        return 'unix' in wchan.read()


env = Env(helper='external', level='notice')
env.start()
conf = os.path.join(env.ring, 'beacon.json')
place = os.path.join(env.root, 'notify')
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, \
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
    manager.bind(place)
    os.chmod(place, 0o777)
    others.setblocking(False)
    try:
        while others.sendto(b'STATUS=', place):
            pass
    except BlockingIOError:
        pass
    os.environ['NOTIFY_SOCKET'] = place
    helper = external()
    del os.environ['NOTIFY_SOCKET']
    wait_until(telling, 5)              # else it has told, and was not heard
    manager.settimeout(10 * slow())
    said = b'STATUS='
    try:
        while said == b'STATUS=':
            said = manager.recv(100)
    except TimeoutError:
        pass
    is_(said, b'READY=1', 'a manager whose queue was full is told')
ok(wait_until(lambda: env.helper_pid() == helper.pid), 'the helper goes on')
env.stop()

done_testing()
