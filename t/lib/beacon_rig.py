"""beacond without nginx: a ring in a directory of its own, filled by
build/fill_cli, drained by a real beacond with one log (or more sinks).

    rig = Rig(path='$beacon_site/%Y.jsonl', max_files=10)
    rig.start()
    rig.push(1000, sites=7)
    rig.wait(1000)
    rig.check(1000, 'all is there')
    rig.stop()
    done_testing()

Hits are numbered; check() finds every number once, in the order of its lane,
in whole lines.
"""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from beacon_test import BUILD, Env, diag, like, ok, slow, wait_until

HITS = 'n'
SHIM = os.path.join(os.path.dirname(__file__), 'fault_shim.c')


class FaultDisk:
    """build/fault_fs on a directory, with its options: freezes, and fails on
    demand.  server is None where that is not possible."""

    def __init__(self, point, *options):
        self.point, self.backing = point, point + '.disk'
        self.server, self.faults = None, set()
        program = os.path.join(BUILD, 'fault_fs')
        if not (os.path.exists(program) and os.access('/dev/fuse', os.W_OK)):
            return
        os.mkdir(self.backing)
        server = subprocess.Popen([program, self.backing, point, '-f',
                                   *options],
                                  stdin=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        if wait_until(lambda: os.path.ismount(point)
                      or server.poll() is not None) and not server.poll():
            self.server = server
        else:
            server.kill()
            server.wait()

    def freeze(self, frozen=True):
        """Nothing on it comes back; the test's own calls neither."""
        self.server.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def fail(self, *faults):
        """write, short, fsync, read, open: with EIO; until repair()."""
        for fault in faults:
            self.faults.add(fault)
            with open(self.backing + '.' + fault, 'w', encoding='ascii'):
                pass

    def repair(self):
        for fault in self.faults:
            os.unlink(self.backing + '.' + fault)
        self.faults = set()

    def remove(self):
        subprocess.run(['umount', '-l', self.point],
                       stderr=subprocess.DEVNULL)
        self.server.terminate()
        self.server.wait()


class Rig:
    def __init__(self, path='all.jsonl', spool=False, sinks=None, lane='4m',
                 lanes=128, logs=None, **log):
        self.top = tempfile.mkdtemp(prefix='beacon-test.', dir='/dev/shm')
        Env.guard.add(self.top)
        atexit.register(self.remove)
        self.ring = os.path.join(self.top, 'ring')
        self.logs = logs or os.path.join(self.top, 'logs')
        self.spool = os.path.join(self.top, 'spool') if spool else None
        for name in (self.ring, self.logs, self.spool):
            if name:
                os.makedirs(name, exist_ok=True)
        size = int(lane[:-1]) << {'k': 10, 'm': 20}[lane[-1]]
        self.epoch = self.tool('fill_cli', self.ring, 'new', size, lanes)
        self.spool_size = 1 << 30
        self.errors = os.path.join(self.top, 'error.log')
        self.path = path
        self.log = log
        self.sinks = sinks
        self.generation = 0
        self.helper = None
        self.pushers = []
        self.follower = None
        self.next = 0
        self.mounts = []
        self.disks = []
        self.began = time.monotonic()

    # ---- processes

    def tool(self, name, *args):
        return subprocess.run(
            [os.path.join(BUILD, name), *map(str, args)], check=True,
            stdout=subprocess.PIPE, text=True).stdout.strip()

    def configure(self):
        self.generation += 1
        log = {'type': 'log', 'name': 'log', 'at': 'test:1',
               'path': os.path.join(self.logs, self.path)}
        log.update(self.log)
        conf = {'v': 2, 'generation': self.generation, 'build': '0.1.0',
                'layout': 2, 'edge': 'edge',
                'ring': {'dir': self.ring, 'epoch': self.epoch,
                         'lane_size': 1, 'lanes': 1, 'at': 'test:2'},
                'helper': {'threads': 1, 'external': True, 'at': 'test:3'},
                'sinks': [log] if self.sinks is None else self.sinks}
        if self.spool:
            conf['spool'] = {'dir': self.spool, 'size': self.spool_size,
                             'min_free': 0, 'at': 'test:4'}
        size = os.path.getsize(os.path.join(self.ring, 'ring.' + self.epoch))
        conf['ring'].update(self.geometry(size))
        name = os.path.join(self.ring, 'beacon.json')
        with open(name, 'w') as file:
            json.dump(conf, file)
        return name

    def geometry(self, size):
        """lane_size and lanes from the control page."""
        import struct
        with open(os.path.join(self.ring, 'ring.' + self.epoch), 'rb') as f:
            head = f.read(32)
        _, _, lanes, _, lane_size = struct.unpack('<QIIQQ', head)
        return {'lane_size': lane_size, 'lanes': lanes}

    def start(self, nofile=None, **environ):
        name = self.configure()
        argv = [os.path.join(BUILD, 'beacond'), '-c', name]
        if nofile:
            argv = ['prlimit', '--nofile=%d:%d' % (nofile, nofile)] + argv
        with open(self.errors, 'ab') as log:
            self.helper = subprocess.Popen(
                argv, stderr=log, stdin=subprocess.DEVNULL,
                env=dict(os.environ, **environ))

    def shim(self, **options):
        """For start(): the environment that makes system calls odd."""
        library = os.path.join(self.top, 'fault_shim.so')
        if not os.path.exists(library):
            subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-shared',
                            '-fPIC', '-O1', '-o', library, SHIM], check=True)
        asan = os.environ.get('ASAN_OPTIONS', '')
        return dict(options, LD_PRELOAD=library,
                    ASAN_OPTIONS=asan + ':verify_asan_link_order=0')

    def send(self, signum):
        self.helper.send_signal(signum)

    def stop(self, signum=signal.SIGTERM, seconds=20):
        """Ends the helper; its exit code, None if it does not end."""
        if self.helper is None:
            return None
        self.helper.send_signal(signum)
        code = self.ended(seconds)
        if self.helper:
            self.helper.kill()
            self.helper.wait()
            self.helper = None
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)

    def ended(self, seconds=20):
        """Waits until the helper has ended; its exit code, None if it does
        not end."""
        try:
            code = self.helper.wait(seconds * slow())
        except subprocess.TimeoutExpired:
            return None
        self.helper = None
        return code

    def died(self, seconds=20):
        """Waits until the helper was killed (at a point)."""
        return self.ended(seconds) == -signal.SIGKILL

    def push(self, count, wait=True, **options):
        """Commits the next hits; False: they did not fit in time."""
        argv = [os.path.join(BUILD, 'fill_cli'), self.ring, self.epoch,
                str(self.next), str(count)]
        argv += ['%s=%s' % item for item in options.items()]
        self.next += count
        pusher = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        self.pushers.append(pusher)
        return self.pushed() if wait else pusher

    def pushed(self, seconds=30):
        end = time.monotonic() + seconds * slow()
        for pusher in list(self.pushers):
            try:
                if pusher.wait(max(0.01, end - time.monotonic())) != 0:
                    return False
            except subprocess.TimeoutExpired:
                return False
            self.pushers.remove(pusher)
        return True

    def follow(self, name):
        """tail -F of a file, into another one."""
        self.followed = os.path.join(self.top, 'followed')
        out = open(self.followed, 'wb')
        self.follower = subprocess.Popen(
            ['tail', '-s', '0.05', '-n', '+1', '-F',
             os.path.join(self.logs, name)],
            stdout=out, stderr=subprocess.DEVNULL)
        out.close()

    def unfollow(self):
        """Lines that tail wrote more than once."""
        time.sleep(0.3)         # it polls; what it misses is not judged
        self.follower.kill()
        self.follower.wait()
        self.follower = None
        with open(self.followed, 'rb') as file:
            lines = file.read().split(b'\n')
        return len(lines) - len(set(lines)), len(lines)

    def reload(self, seconds=10):
        """The configuration as it is now; true once the helper has said in
        its log that it is in use, or is not."""
        def answers():
            text = self.error_text()
            return (text.count(' is in use')
                    + text.count('the old configuration stays'))
        seen = answers()
        self.configure()
        self.send(signal.SIGHUP)
        return wait_until(lambda: answers() > seen, seconds)

    # ---- the books

    def books(self):
        try:
            return json.loads(self.tool('books_cli', self.ring))
        except (subprocess.CalledProcessError, ValueError):
            return {'accepted': -1, 'sinks': {}}

    def sink(self, name='log'):
        return self.books()['sinks'].get(name, {})

    def wait(self, count=None, seconds=30, name='log'):
        """Until so many hits (default: all) are done, as the books say."""
        count = self.next if count is None else count
        return wait_until(lambda: self.sink(name).get('done', 0) >= count,
                          seconds, 0.02)

    def up(self, seconds=10):
        """Until the books are the helper's that runs now."""
        return wait_until(lambda: self.books().get('pid') == self.helper.pid,
                          seconds, 0.02)

    def told(self, key, good, seconds=10, name='log'):
        """The member of a sink's status, once it is good (it lags: but for
        what is done, lost, pending and an error half a second)."""
        wait_until(lambda: good(self.sink(name).get(key)), seconds, 0.05)
        return self.sink(name).get(key)

    def says(self, pattern, name, seconds=10):
        """One test: a line of the error log matches; a thread writes it, a
        little later."""
        wait_until(lambda: re.search(pattern, self.error_text(), re.M),
                   seconds, 0.02)
        return like(self.error_text(), pattern, name)

    def once_a_minute(self, text, name):
        """One test: so often do lines of the error log have that."""
        wait_until(lambda: text in self.error_text(), 10, 0.02)
        lines = [line for line in self.error_text().splitlines()
                 if text in line]
        if not ok(1 <= len(lines) <= 1 + (time.monotonic() - self.began) / 60,
                  name):
            diag('\n'.join(lines) or 'never')

    def balance(self, name):
        """Of each sink: what is done, lost and pending was accepted."""
        books = self.books()
        bad = ['%s: %s' % (key, sink) for key, sink in books['sinks'].items()
               if sink['done'] + sink['lost'] + sink['pending']
               != books['accepted']]
        if not ok(not bad, name):
            diag('\n'.join(bad))

    # ---- files

    def files(self):
        found = []
        for top, _, names in os.walk(self.logs):
            found += [os.path.join(top, name) for name in names
                      if os.path.isfile(os.path.join(top, name))
                      and not os.path.islink(os.path.join(top, name))]
        return sorted(found)

    def numbers(self, name):
        """A file's hits; None stands for a line that is none."""
        found = []
        with open(name, 'rb') as file:
            data = file.read()
        for line in data.split(b'\n')[:-1]:
            try:
                hit = json.loads(line)
                found.append((hit['id'].rsplit('-', 1)[0],
                              int(hit['args'][HITS])))
            except (ValueError, KeyError, TypeError):
                found.append(None)
        if data and not data.endswith(b'\n'):
            found.append(None)
        return found

    def faults(self, count=None, lost=False):
        """What is wrong with the files, as a list of sentences."""
        count = self.next if count is None else count
        seen = {}
        bad = []
        for name in self.files():
            last = {}
            for hit in self.numbers(name):
                if hit is None:
                    bad.append('%s holds a torn line' % name)
                    continue
                lane, n = hit
                if n < last.get(lane, -1):
                    bad.append('%s: %d after %d' % (name, n, last[lane]))
                last[lane] = n
                seen[n] = seen.get(n, 0) + 1
        doubled = [n for n in seen if seen[n] > 1]
        missing = [n for n in range(count) if n not in seen]
        if doubled:
            bad.append('%d doubled, first %d' % (len(doubled), min(doubled)))
        if missing and not lost:
            bad.append('%d missing, first %d' % (len(missing), missing[0]))
        self.found = len(seen)
        return bad

    def check(self, name, count=None):
        bad = self.faults(count)
        if not ok(not bad, name):
            diag('\n'.join(bad[:10]))
            self.show_errors()
        return not bad

    def show_errors(self, lines=20):
        with open(self.errors) as file:
            diag(''.join(file.readlines()[-lines:]))

    def error_text(self):
        with open(self.errors) as file:
            return file.read()

    # ---- file systems

    def mount(self, argv, point=None):
        point = point or self.logs
        done = subprocess.run(['mount', *argv, point],
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            self.mounts.append(point)
        return done.returncode == 0

    def tmpfs(self, size):
        return self.mount(['-t', 'tmpfs', '-o', 'size=%s' % size, 'none'])

    def loop(self, megabytes=512):
        image = os.path.join(self.top, 'disk')
        with open(image, 'wb') as file:
            file.truncate(megabytes << 20)
        return (subprocess.run(['mkfs.ext4', '-q', '-F', image],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL).returncode == 0
                and self.mount(['-o', 'loop', image]))

    def fault_fs(self, point):
        """A disk by FUSE on the logs' or the spool's directory."""
        disk = FaultDisk(point)
        if disk.server:
            self.disks.append(disk)
        return disk if disk.server else None

    def fault_spool(self):
        """The spool is on a disk by FUSE; None where that is not possible."""
        if os.geteuid() != 0:
            return None
        point = os.path.join(self.top, 'fuse')
        os.mkdir(point)
        disk = self.fault_fs(point)
        if disk:
            self.spool = os.path.join(point, 'spool')
            os.mkdir(self.spool)
        return disk

    def freeze(self, frozen=True):
        subprocess.run(['fsfreeze', '-f' if frozen else '-u', self.logs],
                       check=True)
        self.frozen = frozen

    def remove(self):
        """Everything goes; also by atexit."""
        if not os.path.isdir(self.top):
            return
        if getattr(self, 'frozen', False):
            self.freeze(False)
        for disk in self.disks:
            disk.freeze(False)
            disk.repair()
        for process in [self.helper, self.follower] + self.pushers:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        for point in reversed(self.mounts):
            subprocess.run(['umount', '-l', point], stderr=subprocess.DEVNULL)
        self.mounts = []
        for disk in self.disks:
            disk.remove()
        self.disks = []
        shutil.rmtree(self.top, ignore_errors=True)
