#!/usr/bin/python3
"""Reloads and binary upgrades under load, with connections that hold old
workers: no request fails, no worker is without a lane, one helper lives
through all of it."""

import os
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import RingFile, Trial        # noqa: E402

seed()


class Endless(threading.Thread):
    """An upstream that begins an answer and never ends it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.held = []
        self.start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
                sock.recv(65536)
                sock.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n'
                             b'Content-Type: text/plain\r\n\r\nopen\n')
                self.held.append(sock)
            except OSError:
                return


def hold(env, n):
    """Opens n connections that keep their workers; sockets."""
    held = []
    for _ in range(n):
        client = env.client()
        client.send('GET /endless HTTP/1.1\r\nHost: a\r\n\r\n')
        if client.sock.recv(4096):
            held.append(client)
    return held


def all_own_a_lane(env, master=None):
    ring = RingFile(RingFile.all(env.ring)[-1])
    return set(env.worker_pids(master)) <= ring.owners()


upstream = Endless()
trial = Trial(
    load={'connections': 16, 'rate': 2000}, shutdown='600s',
    server='''location /endless {
        proxy_pass http://127.0.0.1:%d;
        proxy_buffering off;
        proxy_read_timeout 600s;
    }''' % upstream.port).start()
env = trial.env
helper = env.helper_pid()

reloads = count(20, 200)
held, without = [], 0
for i in range(reloads):
    held.append(hold(env, 4))
    if len(held) > 40:                  # 200 generations are too many
        for client in held.pop(0):
            client.close()
    if not env.reload(adopted=False):
        ok(False, 'new workers take over at reload %d' % i)
        break
    without += not wait_until(lambda: all_own_a_lane(env), 5)
tally('reloads', reloads)
is_(without, 0, 'every worker owns a lane after each of %d reloads' % reloads)
ok(len(env.worker_pids(leaving=True)) >= min(reloads, 20),
   'old workers are held by their connections')
is_(env.helper_pid(), helper, 'the helper lives through the reloads')
is_(env.helper_pids(), [helper], 'there is no other helper')
status = env.status()
is_(status['capture']['refused'], 0, 'no hit was refused')
for clients in held:
    for client in clients:
        client.close()
ok(wait_until(lambda: not env.worker_pids(leaving=True), 20),
   'old workers leave when their connections close')

upgrades = count(5, 50)
for i in range(upgrades):
    old, new = env.upgrade()
    if not new:
        ok(False, 'upgrade %d starts a new master' % i)
        break
    env.kill(signal.SIGQUIT, old)
    if not proc.wait_gone(old, 20):
        ok(False, 'the old master leaves at upgrade %d' % i)
        break
    if not wait_until(lambda: all_own_a_lane(env), 5):
        ok(False, 'every worker owns a lane after upgrade %d' % i)
tally('upgrades', upgrades)
is_(env.helper_pid(), helper, 'the helper lives through %d upgrades'
    % upgrades)
is_(env.helper_pids(), [helper], 'there is no other helper')
ok(trial.progress(), 'hits reach the log after the upgrades')

# Rolled back: the old master takes its workers back, the new one leaves.
old, new = env.upgrade()
env.kill(signal.SIGWINCH, old)
ok(wait_until(lambda: not env.worker_pids(old), 15),
   'the old workers leave for the new ones')
env.kill(signal.SIGHUP, old)
ok(wait_until(lambda: len(env.worker_pids(old)) == env.workers, 10),
   'rolled back, the old master starts workers again')
env.kill(signal.SIGQUIT, new)
ok(proc.wait_gone(new, 20), 'the new master leaves')
ok(wait_until(lambda: env.master() == old, 5), 'the old master rules')
ok(trial.progress(), 'hits reach the log after the rollback')
is_(env.helper_pid(), helper, 'the helper lives through the rollback')

# Rolled back at once, without a reload: nobody may forget the helper.
old, new = env.upgrade()
env.kill(signal.SIGQUIT, new)
ok(proc.wait_gone(new, 20), 'a new master is told to leave at once')
ok(wait_until(lambda: env.master() == old, 5), 'the old master rules again')
ok(trial.progress(), 'hits reach the log')
gone = env.kill_helper()
ok(wait_until(lambda: env.helper_pid() not in (None, gone), 10),
   'the old master starts a helper when it dies now')
ok(trial.progress(), 'hits reach the log from the new helper')

trial.finish('reloads and upgrades', failed=0)
upstream.listener.close()
done_testing()
