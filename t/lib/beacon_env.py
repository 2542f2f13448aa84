"""The environment of a test: directories, ports, configuration, a real nginx
with the module, its helper, and what they leave behind.  Tests import it
through beacon_test."""

import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import beacon_test as t
import beacon_proc as proc
from beacon_guard import clean
from beacon_http import Client, Closed

# %%NAME%% is replaced; everything else is nginx's.
TEMPLATE = '''\
%%MAIN%%
http {
    %%TEMP_PATHS%%
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 60s;
    beacon_ring %%RING%% %%RING_OPTIONS%%;
    beacon_helper %%HELPER%%;
    beacon_edge test;
    %%SINKS%%
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT%%;
        server_name localhost;
        location = /px.gif {
            beacon gif;
            beacon_site $beacon_arg_site;
        }
        location = /status {
            beacon_status;
        }
        %%SERVER%%
    }
}
'''

MAIN = '''\
load_module %%MODULE%%;
%%USER%%
%%SANITIZER_ENV%%
daemon %%DAEMON%%;
worker_processes %%WORKERS%%;
worker_shutdown_timeout %%SHUTDOWN%%;
pid %%ROOT%%/nginx.pid;
lock_file %%ROOT%%/nginx.lock;
error_log %%ROOT%%/error.log %%LEVEL%%;
events {
    worker_connections %%CONNECTIONS%%;
}
'''

# What no error log may hold unless the test allows it.
BAD = re.compile(r'\[(alert|emerg)\]|ERROR: \w+Sanitizer|runtime error:'
                 r'|SUMMARY: \w+Sanitizer|WARNING: ThreadSanitizer'
                 r'|terminate called|Assertion .* failed')

_ports = []             # abstract sockets that keep each port ours


def free_port():
    """A port of 127.0.0.1 that no other test on this machine will choose:
    an abstract socket of that number is held until this process ends."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            lock.bind('\0beacon-test-port-%d' % port)
            probe.bind(('127.0.0.1', port))
        except OSError:
            lock.close()
            continue
        finally:
            probe.close()
        _ports.append(lock)
        return port


class Env:
    """
    Env(http='', server='', main='', conf=None, workers=2, log=..., spool=...)

    http, server, main  more directives for the template's blocks
    conf         a whole configuration instead of the template; it may start
                 with %%MAIN%% and use the other %%NAME%%s
    log          arguments of beacon_log; a list for several, None for none
    spool        arguments of beacon_spool; None for none
    ring_options arguments of beacon_ring after the directory
    helper       argument(s) of beacon_helper; default the copy of
                 build/beacond in this environment
    values       more %%NAME%%s: {'NAME': text}
    user         worker user when root runs the test (default www-data)

    Directories: root (prefix, error.log, conf), log and spool in it, and ring
    on tmpfs.  Attributes hold their paths; port is the first server's.
    """

    registry = None
    guard = None

    def __init__(self, http='', server='', main='', conf=None, workers=2,
                 log='%%LOG%%/$beacon_site.jsonl', spool='%%SPOOL%%',
                 ring_options='lane_size=1m', helper=None, daemon='on',
                 level='info', shutdown='10s', values=None, user='www-data',
                 temp=None):
        self.root = tempfile.mkdtemp(prefix='beacon-test.', dir=temp or '/tmp')
        self.shm = tempfile.mkdtemp(prefix='beacon-test.', dir='/dev/shm')
        for directory in (self.root, self.shm):
            os.chmod(directory, 0o755)
            self.guard.add(directory)
        self.ring = os.path.join(self.shm, 'ring')
        self.log = os.path.join(self.root, 'log')
        self.spool = os.path.join(self.root, 'spool')
        self.error_log = os.path.join(self.root, 'error.log')
        self.conf_file = os.path.join(self.root, 'nginx.conf')
        self.pid_file = os.path.join(self.root, 'nginx.pid')
        self.port = free_port()
        self.workers = workers
        self.nginx = shutil.which(os.environ.get('TEST_NGINX_BINARY',
                                                 'nginx')) or 'nginx'
        self.module = os.path.join(t.BUILD, 'ngx_http_beacon_module.so')
        self.user = user if os.geteuid() == 0 else ''
        self.helper = os.path.join(self.root, 'beacond')
        self.allowed = []
        self.popen = []
        self.finished = False
        self.registry.append(self)
        open(self.error_log, 'ab').close()
        if os.path.exists(os.path.join(t.BUILD, 'beacond')):
            self.install_helper(os.path.join(t.BUILD, 'beacond'))
        self.options = dict(http=http, server=server, main=main, conf=conf,
                            log=log, spool=spool, daemon=daemon, level=level,
                            ring_options=ring_options, helper=helper,
                            shutdown=shutdown, values=values or {})
        self.configure()

    # ---- configuration

    def install_helper(self, path):
        """Makes that executable this environment's beacond (a copy, where
        the worker user can reach it; replaced as a package would)."""
        shutil.copy(path, self.helper + '.new')
        os.chmod(self.helper + '.new', 0o755)
        os.rename(self.helper + '.new', self.helper)

    def configure(self, **options):
        """Writes nginx.conf anew, with these options of Env() changed."""
        self.options.update(options)
        if 'workers' in options:
            self.workers = options['workers']
        with open(self.conf_file, 'w', encoding='latin-1') as file:
            file.write(self.expand(self.options['conf'] or TEMPLATE))

    def expand(self, text):
        """Replaces %%NAME%%s, also in what replaces them."""
        o = self.options
        logs = o['log'] if isinstance(o['log'], (list, tuple)) else [o['log']]
        sinks = ['beacon_log %s;' % log for log in logs if log]
        if o['spool']:
            sinks.append('beacon_spool %s;' % o['spool'])
        values = {
            'MAIN': MAIN + o['main'], 'HTTP': o['http'], 'SERVER': o['server'],
            'MODULE': self.module, 'ROOT': self.root, 'RING': self.ring,
            'LOG': self.log, 'SPOOL': self.spool, 'PORT': str(self.port),
            'HELPER': o['helper'] or self.helper, 'SINKS': '\n'.join(sinks),
            'RING_OPTIONS': o['ring_options'], 'WORKERS': str(self.workers),
            'DAEMON': o['daemon'], 'LEVEL': o['level'],
            'SHUTDOWN': o['shutdown'], 'CONNECTIONS': '1024',
            'USER': 'user %s;' % self.user if self.user else '',
            'SANITIZER_ENV': '\n'.join(
                'env %s;' % name for name in os.environ
                if name.endswith('SAN_OPTIONS')),
            'TEMP_PATHS': '\n'.join(
                '%s_temp_path %s/tmp_%s;' % (kind, self.root, kind)
                for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi',
                             'scgi')),
        }
        values.update(o['values'])
        for _ in range(8):
            new = re.sub(r'%%([A-Z0-9_]+)%%',
                         lambda m: values.get(m.group(1), m.group(0)), text)
            if new == text:
                break
            text = new
        return text

    # ---- nginx

    def command(self, *args):
        return [self.nginx, '-e', self.error_log, '-p', self.root,
                '-c', self.conf_file, *args]

    def check(self):
        """nginx -t: (exit code, what it says)."""
        done = subprocess.run(self.command('-t'), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, check=False,
                              errors='replace')
        return done.returncode, done.stdout

    def start(self, ready=True):
        """Starts nginx; fails the test file where it does not come up.
        ready: wait until it answers and the helper is there."""
        if self.options['daemon'] == 'on':
            done = subprocess.run(
                self.command(), stdin=subprocess.DEVNULL, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                errors='replace', text=True)
            if done.returncode != 0:
                t.diag(done.stdout)
                self.show_error_log()
                t.bail_out('nginx starts')
        else:
            self.spawn(self.command())
        if not t.wait_until(self.master, 10):
            self.show_error_log()
            t.bail_out('nginx writes its pid file')
        if ready:
            if not t.wait_until(lambda: len(self.worker_pids())
                                == self.workers, 10):
                self.show_error_log()
                t.bail_out('the workers start')
            if (self.options['helper'] != 'external'
                    and not t.wait_until(self.helper_pid, 10)):
                self.show_error_log()
                t.bail_out('the helper starts')
        return self

    def spawn(self, argv, **options):
        """A process of the test's own; a Popen."""
        options.setdefault('stdin', subprocess.DEVNULL)
        child = subprocess.Popen([str(arg) for arg in argv], **options)
        self.popen.append(child)
        return child

    def master(self, suffix=''):
        """The master's pid from the pid file, None if there is none."""
        try:
            with open(self.pid_file + suffix, encoding='ascii') as file:
                pid = int(file.read())
        except (OSError, ValueError):
            return None
        return pid if proc.alive(pid) else None

    def worker_pids(self, master=None, leaving=False):
        """Pids of workers; those that shut down instead with leaving."""
        found = []
        for pid in proc.children(master or self.master() or -1):
            title = proc.cmdline(pid)
            if title.startswith('nginx: worker process'):
                if ('shutting down' in title) == leaving:
                    found.append(pid)
        return found

    def manager_pid(self, master=None):
        for pid in proc.children(master or self.master() or -1):
            if proc.cmdline(pid) == 'nginx: cache manager process':
                return pid
        return None

    def kill(self, signum, pid=None):
        """Signals the master or pid; False if there is none."""
        pid = pid or self.master()
        return bool(pid) and proc.send(pid, signum)

    def reload(self, seconds=10, adopted=True):
        """HUP; True once only new workers take connections and, with adopted,
        the helper that answered before has the new configuration."""
        hello = self.hello() if adopted else None
        master = self.master()
        old = set(self.worker_pids(master))
        proc.send(master, signal.SIGHUP)

        def renewed():
            now = set(self.worker_pids(master))
            return len(now) == self.workers and not now & old
        return bool(t.wait_until(renewed, seconds)) and (
            hello is None or bool(t.wait_until(
                lambda: self.hello()[1] > hello[1], seconds)))

    def upgrade(self, seconds=10):
        """USR2: starts the new master; returns (old pid, new pid) once its
        workers are there.  The old one still runs: QUIT it, or roll back."""
        old = self.master()
        proc.send(old, signal.SIGUSR2)

        def upgraded():
            new = self.master()
            return new if (new and new != old and self.master('.oldbin') == old
                           and len(self.worker_pids(new)) == self.workers
                           ) else None
        return old, t.wait_until(upgraded, seconds)

    def stop(self, signum=signal.SIGQUIT, seconds=15, helper=True):
        """Stops the master; True once it, its children and (with helper) the
        helper are gone."""
        master = self.master()
        if not master:
            return True
        pids = [master, *proc.children(master)]
        if helper:
            pids += self.helper_pids()
        proc.send(master, signum)
        gone = t.wait_until(
            lambda: not any(proc.alive(pid) for pid in pids), seconds)
        proc.reap(self._known())
        return bool(gone)

    def kill_everything(self):
        """SIGKILL to master, children and helpers, as one."""
        master = self.master()
        pids = ([master, *proc.children(master)] if master else [])
        pids += self.helper_pids()
        for pid in pids:
            proc.send(pid, signal.SIGSTOP)
        pids = sorted({*pids, *(proc.children(master) if master else []),
                       *self.helper_pids()})
        proc.kill_all(pids)
        proc.reap(self._known())
        self.allow('exited on signal 9')
        return pids

    def _known(self):
        return [child.pid for child in self.popen]

    # ---- the helper

    def helper_pids(self):
        """All beacond processes of this ring, waiting ones too."""
        found = []
        for pid in proc.pids():
            argv = proc.cmdline(pid)
            if self.ring in argv and proc.alive(pid):
                if (os.path.basename(proc.exe(pid)).startswith('beacond')
                        and not argv.startswith('nginx')):
                    found.append(pid)
        return found

    def hello(self):
        """(version, generation, pid) as the helper says it on its socket, or
        None."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                sock.settimeout(5 * proc.wanted())
                sock.connect(os.path.join(self.ring, 'beacond.sock'))
                words = sock.recv(4096).decode().split()
        except OSError:
            return None
        if len(words) != 4 or words[0] != 'HELLO':
            return None
        return words[1], int(words[2]), int(words[3])

    def helper_pid(self):
        """The pid of the helper that serves the ring, or None."""
        hello = self.hello()
        return hello[2] if hello and proc.alive(hello[2]) else None

    def kill_helper(self, signum=signal.SIGKILL):
        """Signals the helper; returns its pid."""
        pid = self.helper_pid()
        if pid:
            proc.send(pid, signum)
        return pid

    # ---- requests

    def client(self, port=None):
        return Client(port or self.port)

    def get(self, target, headers=None, **options):
        """One request on a connection of its own."""
        port = options.pop('port', self.port)
        with Client(port) as client:
            return client.request(target, headers=headers, **options)

    def post(self, target, body, kind='application/x-www-form-urlencoded',
             headers=None):
        headers = {'Content-Type': kind, **(headers or {})}
        return self.get(target, headers, method='POST', body=body)

    def status(self, target='/status', port=None):
        """beacon_status, parsed; every sample's books must balance."""
        answer = self.get(target, port=port or self.port)
        if answer.status != 200:
            raise Closed('%s: %d' % (target, answer.status))
        return answer.json()

    def unbalanced(self, status=None):
        """Sinks whose books do not balance, as text; [] when all is well."""
        status = status or self.status()
        accepted = status['capture']['accepted']
        return ['%s: accepted %d, done %d, lost %d, pending %d' % (
                    name, accepted, sink['done'], sink['lost'],
                    sink['pending'])
                for name, sink in status['sinks'].items()
                if accepted != sink['done'] + sink['lost'] + sink['pending']]

    def wait_drained(self, seconds=15, sinks=None, accepted=None):
        """True once no sink (of sinks) has anything pending, and at least
        accepted hits are in the books."""
        def drained():
            status = self.status()
            if accepted and status['capture']['accepted'] < accepted:
                return False
            return status['sinks'] and all(
                sink['pending'] == 0
                for name, sink in status['sinks'].items()
                if sinks is None or name in sinks)
        done = t.wait_until(drained, seconds)
        if not done:
            try:
                t.diag(json.dumps(self.status()['sinks']))
            except (OSError, Closed, ValueError, KeyError) as error:
                t.diag('no status: %r' % error)
        return bool(done)

    # ---- what was logged

    def log_files(self, pattern='**/*.jsonl*'):
        return sorted(path for path in glob.glob(
            os.path.join(self.log, pattern), recursive=True)
            if os.path.isfile(path))

    def raw_lines(self, pattern='**/*.jsonl*'):
        """Lines of the log files as bytes, each with its '\\n'."""
        lines = []
        for path in self.log_files(pattern):
            with open(path, 'rb') as file:
                lines += file.readlines()
        return lines

    def lines(self, pattern='**/*.jsonl*'):
        """Lines of the log files, parsed."""
        return [json.loads(line) for line in self.raw_lines(pattern)]

    def error_lines(self, pattern='.'):
        """Lines of error.log that match."""
        with open(self.error_log, encoding='utf-8', errors='replace') as file:
            return [line.rstrip('\n') for line in file
                    if re.search(pattern, line)]

    def wait_error(self, pattern, seconds=10):
        """Waits for a line in error.log; returns it or None."""
        found = t.wait_until(lambda: self.error_lines(pattern), seconds)
        return found[0] if found else None

    def show_error_log(self, lines=30):
        for line in self.error_lines()[-lines:]:
            t.diag(line)

    # ---- the end

    def allow(self, pattern):
        """Bad lines in error.log that this test brings about itself."""
        self.allowed.append(re.compile(pattern))

    def bad_lines(self):
        return [line for line in self.error_lines(BAD.pattern)
                if not any(p.search(line) for p in self.allowed)]

    def finish(self):
        """Stops everything and checks; done_testing() calls it."""
        if self.finished:
            return
        if self.master('.oldbin'):
            self.kill(signal.SIGTERM, self.master('.oldbin'))
        t.ok(self.stop(), 'nginx and the helper stop when told to')
        for child in self.popen:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        bad = self.bad_lines()
        if not t.ok(not bad, 'error.log holds no alert, emergency or '
                             'sanitizer report'):
            t.diag('\n'.join(bad[:20]))
            self.show_error_log()
        self.finished = True
        self.discard()
        self.remove()

    def discard(self):
        """Kills whatever of this environment still lives."""
        for pid in [self.master(), self.master('.oldbin'),
                    *self.helper_pids()]:
            if pid:
                proc.kill_all([*proc.children(pid), pid])
        for child in self.popen:
            if child.poll() is None:
                child.kill()
                child.wait()

    def remove(self):
        """Unmounts what is mounted there and removes the directories."""
        self.finished = True
        if os.environ.get('BEACON_KEEP'):
            t.diag('kept: %s %s' % (self.root, self.shm))
            return
        clean((self.root, self.shm))
