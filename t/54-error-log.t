#!/usr/bin/python3
"""An error log that takes no lines (a pipe nobody reads, a frozen disk) stops
nothing; what was dropped is told; a new one can be had meanwhile."""

import array
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_rig import Rig

LINE = re.compile(r'\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]+\] \d+#0: beacond: '
                  r'[^\n]+')


class Pipe:
    """A pipe that is full."""

    def __init__(self):
        self.out, self.into = os.pipe()
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, 65536)
        self.filled = 0
        os.set_blocking(self.into, False)
        os.set_blocking(self.out, False)
        try:
            while True:
                self.filled += os.write(self.into, b'x' * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(self.into, True)
        self.data = b''

    def read(self):
        """What was written behind the filling, so far."""
        try:
            while True:
                data = os.read(self.out, 65536)
                if not data:
                    break
                self.data += data
        except BlockingIOError:
            pass
        return self.data[self.filled:].decode()

    def close(self):
        os.close(self.out)
        os.close(self.into)


class Mute(Rig):
    """A helper whose standard error is any descriptor."""

    def start(self, stderr, supervised=False):
        name = self.configure()
        argv = [os.path.join(BUILD, 'beacond'), '-c', name]
        options = {}
        if supervised:
            self.pipe, child = socket.socketpair(socket.AF_UNIX,
                                                 socket.SOCK_SEQPACKET)
            argv.append('--supervised')
            options = {'pass_fds': [3], 'preexec_fn':
                       lambda: os.dup2(child.fileno(), 3)}
        self.helper = subprocess.Popen(argv, stderr=stderr,
                                       stdin=subprocess.DEVNULL, **options)
        if supervised:
            child.close()

    def ask(self, words='ADOPT 0'):
        """The helper's answer on the control socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(5)
            try:
                s.connect(os.path.join(self.ring, 'beacond.sock'))
                s.recv(512)
                s.send(words.encode())
                return s.recv(512).decode()
            except OSError:
                return ''

    def up(self):
        return wait_until(lambda: 'DISPLACED' in self.ask())

    def adopt(self):
        self.configure()
        return 'ADOPTED' in self.ask('ADOPT %d' % self.generation)

    def quarrel(self, times):
        """Adoptions that fail, with two lines of 2 KB or so each."""
        name = self.configure()
        with open(name, encoding='utf-8') as file:
            text = file.read()
        with open(name, 'w', encoding='utf-8') as file:
            file.write(text.replace('test:3', 'long' * 450).replace(
                '"threads": 1', '"threads": 0'))
        for _ in range(times):
            if 'FAILED' not in self.ask('ADOPT %d' % self.generation):
                return False
        return True

    def reopen(self, fd):
        self.pipe.sendmsg([b'REOPEN'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                         array.array('i', [fd]))])

    def fds(self):
        return len(os.listdir('/proc/%d/fd' % self.helper.pid))

    def threads(self):
        """How many bear the name of the helper itself: the first, and those
        that write the log.  Sinks have theirs, and make more of these when
        they like."""
        top = '/proc/%d/task/' % self.helper.pid
        found = 0
        for task in os.listdir(top):
            try:
                with open(top + task + '/comm', encoding='ascii') as file:
                    found += file.read() == 'beacond\n'
            except OSError:
                pass                    # it has ended
        return found

    def stuck(self):
        """A thread stands in a system call on a pipe."""
        top = '/proc/%d/' % self.helper.pid
        for task in os.listdir(top + 'task'):
            with open(top + 'task/%s/syscall' % task, encoding='ascii') as f:
                words = f.read().split()
            try:
                if os.readlink(top + 'fd/%d' % int(words[1], 16)).startswith(
                        'pipe:'):
                    return True
            except (OSError, IndexError):
                pass                    # no descriptor; or it runs
        return False


def lines(text):
    return text.split('\n')[:-1]


def odd(text):
    return [line for line in lines(text) if not LINE.fullmatch(line)]


# ---- frozen from the first line on

rig = Mute(spool=True, lane='1m', sync='off')
pipe = Pipe()
rig.start(pipe.into)
ok(rig.push(2000) and rig.wait(), 'a helper starts and drains')
shutil.rmtree(rig.logs)
ok(rig.push(5000), 'a sink that fails holds up nobody')
ok(wait_until(lambda: rig.books().get('spool'), 10), 'its hits are spooled')
ok(rig.adopt(), 'a reload is adopted')
os.mkdir(rig.logs)
ok(rig.wait(), 'the sink catches up')
ok(rig.quarrel(150) and rig.adopt(), 'more than fits changes nothing')
ok(rig.push(1000) and rig.wait(), 'hits flow')
rig.send(signal.SIGTERM)
is_(rig.ended(10), 0, 'it ends, and is not held up')
told = pipe.read()
is_(odd(told), [], 'what was written is whole')
is_(len(lines(told)), 0, 'nobody has read')
pipe.close()

# ---- and read at last

pipe = Pipe()
rig.start(pipe.into)
ok(rig.up() and rig.quarrel(150), 'the next one starts')
ok(wait_until(lambda: 'were dropped' in pipe.read(), 10),
   'when the log is read, it tells that lines were dropped')
told = pipe.read()
is_(odd(told), [], 'each line is whole')
like(told, r'version \S+ started', 'the oldest are there')
rig.send(signal.SIGUSR1)
ok(wait_until(lambda: 'reopening' in pipe.read(), 10), 'and so are the newest')
dropped = sum(map(int, re.findall(r'(\d+) lines were dropped', pipe.read())))
is_(len([line for line in lines(pipe.read()) if '"threads"' in line])
    + dropped, 300,
    'what is missing is counted')
is_(rig.stop(), 0, 'the helper ends well')
wait_until(lambda: 'gone' in pipe.read())
like(lines(pipe.read())[-1], 'beacond: gone', 'having said so')
pipe.close()

# ---- another one in its place

pipe = Pipe()
rig.start(pipe.into, supervised=True)
ok(rig.up() and wait_until(rig.stuck), 'it starts under supervision')
names = [os.path.join(rig.top, 'error.%d' % n) for n in range(40)]


def change(name):
    with open(name, 'ab') as file:
        rig.reopen(file.fileno())
    return wait_until(lambda: 'reopening' in open(name).read(), 5)


ok(change(names[0]), 'a new log is used while the old one is stuck')
is_(odd(open(names[0]).read()), [], 'with whole lines')
ok(change(names[1]), 'so is the next one')
ok(wait_until(lambda: pipe.read() != ''), 'somebody reads the old one')
ok(wait_until(lambda: os.readlink('/proc/%d/fd/2' % rig.helper.pid)
              == names[1]), 'and standard error is the new one')
is_(len(lines(pipe.read())), 1, 'nothing more comes to the old one')
ok(rig.push(1000) and rig.wait(), 'hits flow')
fds, threads = rig.fds(), rig.threads()
ok(threads >= 2, 'one thread writes the log')
ok(all(change(name) for name in names[2:]), 'log after log is used')
ok(wait_until(lambda: rig.fds() <= fds and rig.threads() <= threads),
   'no descriptor and no thread is left behind')

# many that are stuck

pipes = [Pipe() for _ in range(8)]
for full in pipes:
    rig.reopen(full.into)
    rig.ask()
ok(rig.push(1000) and rig.wait(), 'logs that are all stuck stop nothing')
ok(rig.threads() <= threads + 8, 'threads are bounded')
for full in pipes:
    wait_until(lambda: full.read() is not None)
ok(wait_until(lambda: rig.threads() <= threads), 'and end when they are read')
ok(change(names[0] + '.last'), 'a new one can be had then')
rig.pipe.send(b'STOP 2000 99')
is_(rig.ended(10), 0, 'the helper ends well')
like(open(names[0] + '.last').read(), 'gone', 'having said so')
rig.pipe.close()
for full in [pipe] + pipes:
    full.close()
is_(rig.faults(), ['2000 missing, first 0'],
    'nothing but what was removed is missing')
rig.remove()

done_testing()
