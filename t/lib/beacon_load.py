"""Load with a journal, followers of logs, and a sampler of the books: what
tests of faults run beside the fault.

    from beacon_load import Load, Follower, Sampler, check_log
"""

import json
import os
import signal
import subprocess
import threading

import beacon_test as t
import oracle


class Load:
    """build/load against an environment, in the background.

    options are load's, by name: connections, count, seconds, rate, site,
    sites, padding, keep, timeout, method, path, headers, browser, seed.
    Every Load of an environment has clients of its own."""

    FLAGS = {'connections': '-c', 'count': '-n', 'seconds': '-t',
             'rate': '-r', 'site': '-s', 'sites': '-S', 'padding': '-b',
             'keep': '-k', 'timeout': '-w', 'method': '-m', 'path': '-u',
             'seed': '-z', 'port': '-p'}
    number = 0

    def __init__(self, env, headers=(), browser=False, **options):
        Load.number += 1
        self.journal_path = os.path.join(env.root,
                                         'journal.%d' % Load.number)
        options.setdefault('port', env.port)
        options.setdefault('seed', Load.number)
        argv = [os.path.join(t.BUILD, 'load'), '-j', self.journal_path,
                '-f', str(Load.number * 100000)]
        for name, value in options.items():
            argv += [self.FLAGS[name], str(value)]
        for line in headers:
            argv += ['-x', line]
        if browser:
            argv.append('-B')
        self.child = env.spawn(argv, stdout=subprocess.PIPE)
        self.summary = None

    def wait(self, seconds=120):
        """Waits until it is through; its summary, a dict."""
        if self.summary is None:
            output, _ = self.child.communicate(timeout=seconds)
            if self.child.returncode != 0:
                raise RuntimeError('load exits with %d'
                                   % self.child.returncode)
            self.summary = json.loads(output)
        return self.summary

    def stop(self):
        """No more hits; waits for the answers on their way.  One that has its
        journal takes the signal; before that it would die of it."""
        t.wait_until(lambda: os.path.exists(self.journal_path)
                     or not self.running())
        if self.running():
            self.child.send_signal(signal.SIGTERM)
        return self.wait()

    def running(self):
        return self.child.poll() is None

    def journal(self):
        return oracle.Journal([self.journal_path])


def journals(*loads):
    """One Journal of several loads."""
    return oracle.Journal([load.journal_path for load in loads])


def check_log(env, loads, logs=None, duplicates=0, other=False,
              name='every acknowledged hit is in the log once, unchanged, in '
                   'order'):
    """The oracle as one test; logs: default each log file of env.  Returns
    the report."""
    journal = journals(*(loads if isinstance(loads, (list, tuple))
                         else [loads]))
    report = oracle.check(journal, logs or env.log_files(), duplicates, other)
    if not t.ok(report, name):
        t.diag('%d ok, %d unknown, %d refused %s' % (
            journal.ok(), journal.unknown(), journal.refused(),
            journal.statuses))
        t.diag(report)
    t.tally('acknowledged hits', journal.ok())
    t.tally('unknown', journal.unknown())
    t.tally('refused', journal.refused())
    t.tally('lost', report.counts.get('lost', 0))
    t.tally('doubled', report.counts.get('double', 0))
    t.tally('other faults', sum(
        number for kind, number in report.counts.items()
        if kind not in ('lost', 'double')))
    return report


def check_books(env, loads=None, name='the books balance and agree with the '
                                      'clients'):
    """beacon_status as one test."""
    journal = None
    if loads:
        journal = journals(*(loads if isinstance(loads, (list, tuple))
                             else [loads]))
    status = env.status()
    problems = oracle.check_books(status, journal)
    if not t.ok(not problems, name):
        t.diag('\n'.join(problems))
    return status


class Follower:
    """tail -F on one file, from its first line on."""

    def __init__(self, env, path):
        self.out = os.path.join(env.root, 'follow.%d' % id(self))
        self.err = self.out + '.err'
        with open(self.out, 'wb') as out, open(self.err, 'wb') as err:
            self.child = env.spawn(['tail', '-F', '-n', '+1', '-s', '0.05',
                                    path], stdout=out, stderr=err)

    def output(self):
        with open(self.out, 'rb') as file:
            return file.read()

    def stop(self):
        self.child.terminate()
        self.child.wait()

    def check(self, fragments=False,
              name='a tail -F of the log never sees a line twice'):
        """One test; fragments: see oracle.check_followed.  Returns the
        report (lines: how many were seen)."""
        self.stop()
        report = oracle.check_followed(self.output(), fragments)
        with open(self.err, encoding='utf-8', errors='replace') as file:
            for line in file:
                if 'truncated' in line:
                    report.problem('truncated', line.strip())
        if not t.ok(report, name):
            t.diag(report)
        return report


def rings(env):
    """Those that are in use, or not drained."""
    try:
        return {name for name in os.listdir(env.ring)
                if name.startswith('ring.') and '.' not in name[5:]}
    except FileNotFoundError:
        return set()


class Sampler(threading.Thread):
    """Asks for beacon_status again and again; remembers each answer whose
    books do not balance, or whose accepted is less than it was.  The last is
    no fault where a worker of a newer ring answers: of the older one it knows
    what the helper has told."""

    def __init__(self, env, interval=0.05):
        super().__init__(daemon=True)
        self.env = env
        self.interval = interval
        self.problems = []
        self.samples = 0
        self.accepted = 0
        self.rings = rings(env)
        self.last = None
        self.done = threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(self.interval):
            try:
                status = self.env.status()
            except (OSError, t.Closed, ValueError):
                continue                # nginx is away
            self.samples += 1
            self.last = status
            self.problems += oracle.check_books(status)
            accepted = status['capture']['accepted']
            older, self.rings = self.rings, rings(self.env)
            if accepted < self.accepted and len(older | self.rings) < 2:
                self.problems.append('accepted fell from %d to %d' % (
                    self.accepted, accepted))
            self.accepted = accepted

    def check(self, name='the books balance in every sample'):
        """Ends it; one test."""
        self.done.set()
        self.join()
        if not t.ok(self.samples and not self.problems, name):
            t.diag('%d samples, %d problems' % (self.samples,
                                                len(self.problems)))
            t.diag('\n'.join(self.problems[:10]))
        return self.samples
