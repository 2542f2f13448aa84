"""What tests of faults share: a system under load with everything that must
hold watched from outside, and a look into the ring file.

    from beacon_fault import Trial, RingFile
"""

import os
import re
import struct
import subprocess
import time

import beacon_test as t
import oracle
from beacon_load import Follower, Load, Sampler, check_log, journals

PAGE = 4096


class RingFile:
    """Control page and lane headers of a ring.<epoch>, as beacon_format.h
    describes them, read without any of Beacon's code."""

    CONTROL = struct.Struct('<QIIQQQQQQ')
    NAME = re.compile(r'ring\.[0-9a-f]{16}')

    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as file:
            (self.magic, self.layout, self.lanes, self.epoch, self.lane_size,
             self.stride, self.file_size, self.start, _) = \
                self.CONTROL.unpack(file.read(self.CONTROL.size))

    @classmethod
    def all(cls, directory, aside=False):
        """Paths of the rings in a directory, or of those set aside."""
        return sorted(
            os.path.join(directory, name) for name in os.listdir(directory)
            if cls.NAME.fullmatch(name.removesuffix('.aside') if aside
                                  else name)
            and name.endswith('.aside') == aside)

    def headers(self):
        with open(self.path, 'rb') as file:
            for i in range(self.lanes):
                file.seek(PAGE + i * self.stride)
                page = file.read(256)
                size, mask = struct.unpack_from('<QQ', page, 0)
                tail, = struct.unpack_from('<Q', page, 64)
                owner, claims = struct.unpack_from('<II', page, 128)
                reclaim, ordinal = struct.unpack_from('<QQ', page, 192)
                yield {'size': size, 'mask': mask, 'tail': tail,
                       'owner': owner, 'claims': claims, 'reclaim': reclaim,
                       'reclaimed': ordinal}

    def owners(self):
        """Pids that the lanes name; processes that live only."""
        return {lane['owner'] for lane in self.headers()
                if lane['owner'] and t.proc.alive(lane['owner'])}


class Trial:
    """An environment with a load, a follower of its log and a sampler of its
    books.  Everything before finish() is the fault; finish() judges.

    load: options of Load; env: one that is there, else options of Env."""

    def __init__(self, load=None, sample=True, follow=True, env=None,
                 **options):
        # lanes as they are by default: no fault here is to fill them unasked
        options.setdefault('ring_options', 'lane_size=16m')
        self.env = env or t.Env(**options)
        self.loads = []
        self.load_options = {'connections': 8, 'rate': 3000, 'padding': 300,
                             **(load or {})}
        self.sample, self.follow = sample, follow
        self.sampler = self.follower = None

    def start(self):
        self.env.start()
        self.begin()
        return self

    def begin(self):
        """Load and watchers on an environment that runs."""
        if self.follow:
            self.follower = Follower(
                self.env, os.path.join(self.env.log, 'load.jsonl'))
        if self.sample:
            self.sampler = Sampler(self.env)
        self.more()
        return self

    def more(self, **options):
        """One more load; returns it."""
        load = Load(self.env, **{**self.load_options, **options})
        self.loads.append(load)
        return load

    def progress(self, hits=50, seconds=10):
        """Waits until the log has grown by some hits; False: it has not."""
        path = os.path.join(self.env.log, 'load.jsonl')
        start = size_of(path)
        return bool(t.wait_until(
            lambda: size_of(path) > start + 400 * hits, seconds))

    def quiet(self):
        """Ends the loads; their summaries."""
        return [load.stop() for load in self.loads]

    def finish(self, what, failed=None, drained=20, others=()):
        """Ends the load, waits until all is drained, and judges.  failed: at
        most so many requests may have; others: answers to requests of the
        test's own."""
        summaries = self.quiet()
        t.ok(self.env.wait_drained(drained), '%s: all is drained' % what)
        if failed is not None:
            count = sum(s['failed'] for s in summaries)
            if not t.ok(count <= failed, '%s: no more than %d requests fail'
                        % (what, failed)):
                t.diag('%d failed: %s' % (count, summaries))
        if self.sampler:
            self.sampler.check('%s: the books balance in every sample' % what)
        check_log(self.env, self.loads, other=bool(others),
                  name='%s: every acknowledged hit is in the log once, '
                       'unchanged, in order' % what)
        status = self.books(what, sum(r.status == 200 for r in others))
        if self.follower:
            self.seen_by_follower()
            self.follower.check(name='%s: a tail -F never sees a line twice'
                                % what)
        return status

    def books(self, what, others):
        """Accepted is what the clients say; the status."""
        status = self.env.status()
        status['capture']['accepted'] -= others
        for sink in status['sinks'].values():
            sink['done'] -= others
        problems = oracle.check_books(status, journals(*self.loads))
        if not t.ok(not problems, '%s: the books agree with the clients'
                    % what):
            t.diag('\n'.join(problems))
        return status

    def seen_by_follower(self):
        """Lets tail read what there is before it is stopped.  It may have
        missed some at a rotation: then it is through when it has stood behind
        a line for a second."""
        total = sum(size_of(path) for path in self.env.log_files())
        last = [0, time.monotonic()]

        def through():
            size = size_of(self.follower.out)
            if size != last[0]:
                last[:] = [size, time.monotonic()]
            return size >= total or (
                time.monotonic() - last[1] > 1
                and self.follower.output()[-1:] in (b'', b'\n'))
        t.wait_until(through, 30, 0.05)


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def external(env, points=None, argv=(), **options):
    """Starts beacond by hand, as a service manager would (beacon_helper
    external); points: BEACON_KILL_AT.  A Popen; what it says goes to
    env.error_log."""
    environ = dict(os.environ)
    environ.pop('BEACON_KILL_AT', None)
    if points:
        environ['BEACON_KILL_AT'] = points
    with open(env.error_log, 'ab') as log:
        user = {'user': env.user} if env.user else {}
        return env.spawn([*argv, env.helper, '-c',
                          os.path.join(env.ring, 'beacon.json')],
                         env=environ, stderr=log, stdout=log,
                         cwd='/', **user, **options)


def need_root(what):
    if os.geteuid() != 0:
        t.skip_all('%s needs root' % what)


def mount_tmpfs(env, path, size):
    """A tmpfs of a size on a directory of env (unmounted by it); False: not
    allowed here."""
    os.makedirs(path, exist_ok=True)
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%s,mode=777'
                           % size, 'none', path], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode == 0


def resize_tmpfs(path, size):
    subprocess.run(['mount', '-o', 'remount,size=%s' % size, path],
                   check=True)
