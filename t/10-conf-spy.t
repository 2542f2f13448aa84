#!/usr/bin/python3
"""What nginx -t says of beacon_spy: endpoints, keys, and where they lie."""

import os
import sys

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_conf import Conf                    # noqa: E402

conf = Conf('beacon_ring %%RING%% lane_size=1m;\nbeacon_helper %%HELPER%%;\n'
            'beacon_log %%LOG%%/x.jsonl;')
PUBLIC, SECRET = (key.decode() for key in zmq.curve_keypair())
PEER = zmq.curve_keypair()[0].decode()


def curve(text, mode=0o640, name='spy.curve', owner=True):
    """A curve file; its path."""
    path = os.path.join(conf.env.root, name)
    with open(path, 'w') as file:
        file.write(text)
    os.chmod(path, mode)
    if conf.env.user and owner:
        import pwd
        os.chown(path, 0, pwd.getpwnam(conf.env.user).pw_gid)
    return path


# ---- what is well

for args in ('', 'bind=ipc:///tmp/x.sock', 'bind=tcp://127.0.0.1:5556',
             'connect=tcp://localhost:5556', 'bind=tcp://[::1]:5556',
             'bind=tcp://*:5556 insecure',
             'connect=tcp://m.example.com:1 insecure name=x ip=on',
             'ip=off bind=ipc:///tmp/a bind=ipc:///tmp/b connect=ipc:///c'):
    said = conf.good('beacon_spy %s;' % args, 'beacon_spy %s' % args)
    unlike(said, r'\[warn\]', 'without a warning')
conf.good('beacon_spy; beacon_spy;', 'two without a name have one each')
conf.good('beacon_spy %s insecure;' % ' '.join(
    'connect=tcp://10.0.0.%d:5556' % n for n in range(16)), 'sixteen masters')

# ---- the directive

for args, message in (
        ('nope', 'invalid parameter "nope"'),
        ('ip=yes', 'invalid parameter'),
        ('curve=', 'invalid parameter'),
        ('bind=', 'must begin with'),
        ('bind=udp://x', 'must begin with'),
        ('bind=ipc://x', 'must be absolute'),
        ('bind=ipc:///' + 'x' * 107, 'more than a socket\'s 107'),
        ('bind=tcp://127.0.0.1', 'a port from 1 to 65535'),
        ('bind=tcp://127.0.0.1:0', 'a port from 1 to 65535'),
        ('bind=tcp://1.2.3:5', '"1.2.3" is no host'),
        ('connect=tcp://*:5556', '"\\*" is no host to connect to'),
        ('"bind=tcp://a b:1"', 'space'),
        ('bind=tcp://*:5556', 'is not loopback'),
        ('bind=tcp://0.0.0.0:5556', 'is not loopback'),
        ('connect=tcp://m.example.com:5556', 'is not loopback'),
        ('bind=ipc:///a connect=tcp://10.0.0.1:5', 'is not loopback'),
        ('name=../x', 'invalid name'),
        (' '.join('bind=ipc:///%d' % n for n in range(17)),
         'more than 16 endpoints'),
        ('name=log', 'is named "log" too')):
    conf.bad('beacon_spy %s;' % args, message, 'beacon_spy',
             'refused: beacon_spy %s' % args[:50])

# ---- curve files

GOOD = 'public %s\nsecret\t %s\r\n\n# ours\npeer %s\n' % (PUBLIC, SECRET, PEER)
FAR = 'beacon_spy bind=tcp://*:5556 curve=%s;'
path = curve(GOOD)
unlike(conf.good(FAR % path, 'keys make a far endpoint safe'), r'\[warn\]',
       'without a warning')
conf.good(FAR % 'spy.curve', 'the file may lie beside nginx.conf')
like(conf.good(FAR % curve(GOOD, 0o644), 'a file that all may read'),
     r'\[warn\].*secret key, and everybody may read it.*nginx\.conf:\d+',
     'is warned of, with its place')
for text, line, message in (
        ('public %s\n\npublik %s\n' % (PUBLIC, PUBLIC), 3,
         'word must be public, secret'),
        ('secret %s\nsecret %s\n' % (SECRET, SECRET), 2, 'stands there twice'),
        ('public %s\n' % PUBLIC[:39], 1, '40 characters in Z85'),
        ('public %sx\n' % PUBLIC, 1, '40 characters in Z85'),
        ('public %s~\n' % PUBLIC[:39], 1, '40 characters in Z85'),
        ('public %s\n' % ('#' * 40), 1, '40 characters in Z85'),
        ('public\n', 1, '40 characters in Z85'),
        ('public %s %s\n' % (PUBLIC, PUBLIC), 1, '40 characters in Z85'),
        ('public = %s\n' % PUBLIC, 1, '40 characters in Z85')):
    path = curve(text)
    said = conf.bad(FAR % path, message, None, 'a curve file: %s' % message,
                    where='%s:%d' % (path, line))
    ok(SECRET[:30] not in said, 'no key is told')
for text, message in (
        ('', 'a line "public" and a line "secret"'),
        ('public %s\npeer %s\n' % (PUBLIC, PEER), 'a line "secret"'),
        ('public %s\nsecret %s\npeer %s\n' % (PEER, SECRET, PEER),
         'not of one pair'),
        ('public %s\nsecret %s\n' % (PUBLIC, SECRET), 'no line "peer"')):
    said = conf.bad(FAR % curve(text), message, 'beacon_spy',
                    'a curve file: %s' % message)
    ok(SECRET not in said, 'its secret is not told')
conf.bad('beacon_spy connect=tcp://m:1 curve=%s;' % curve(GOOD),
         'no line "server"', 'beacon_spy', 'who connects needs a server\'s')
conf.good('beacon_spy connect=tcp://m:1 curve=%s;' % curve(
    GOOD.replace('peer', 'server')), 'and no peer')
conf.bad(FAR % '/nowhere', r'stat\("/nowhere"\) failed', 'beacon_spy',
         'a file that is not there')
conf.bad(FAR % '/tmp', 'is no file', 'beacon_spy', 'one that is none')
if conf.env.user:
    conf.bad(FAR % curve(GOOD, 0o600, owner=False),
             'the worker user may not read', 'beacon_spy',
             'one that the worker user may not read')

# ---- where no socket can be made

for path, why in (('/nowhere/x.sock', 'in "/nowhere": No such file'),
                  (conf.env.conf_file, 'what is there is no socket'),
                  ('/etc', 'what is there is no socket')):
    for directive in ('beacon_spy', 'beacon_live size=8m; beacon_spy_collect'):
        said = conf.good('%s bind=ipc://%s;' % (directive, path),
                         '%s that has no place' % directive[-14:])
        like(said, r'\[warn\].*' + why + r'.*nginx\.conf:\d+',
             'is warned of')

# ---- sockets in the ring's directory

deep = os.path.join(conf.env.shm, 'x' * 60)
other = Conf('beacon_ring %s lane_size=1m;\nbeacon_helper %%%%HELPER%%%%;\n'
             'beacon_log %%%%LOG%%%%/x.jsonl;' % deep)
other.bad('beacon_spy name=%s;' % ('n' * 40), 'more than a socket\'s 107',
          'beacon_spy', 'one whose name is too long for its directory')
said = Conf('beacon_ring %%RING%% lane_size=1m;\nbeacon_helper %%HELPER%%;'
            ).good('beacon_spy;', 'a feed alone')
like(said, r'\[warn\].*no durable sink', 'is no durable sink')

done_testing()
