#!/usr/bin/python3
"""Ring files that are damaged, cut, of another version or size: nothing
crashes, nothing invented is logged, what cannot be read is set aside as it
was."""

import os
import random
import shutil
import signal
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import PAGE, RingFile, Trial, external        # noqa: E402
from beacon_load import Load, check_log         # noqa: E402
import oracle                                   # noqa: E402

seed()

LAYOUT_AT, LANE_SIZE_AT = 8, 24


def content(path):
    with open(path, 'rb') as file:
        return file.read()


def filled(env, hits=2000):
    """Commits hits that nobody drains, then kills nginx; the load."""
    env.start(ready=False)
    wait_until(lambda: env.worker_pids())
    load = Load(env, count=hits, connections=8, padding=300)
    load.wait()
    env.kill_everything()
    return load


def restore(env, saved):
    for path in (env.ring, env.log):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(saved, env.ring, symlinks=True)
    os.mkdir(env.log)
    for path in (env.ring, env.log):
        shutil.chown(path, env.user or None)
        for name in os.listdir(path):
            shutil.chown(os.path.join(path, name), env.user or None)


def drain(env):
    """The helper alone: start, drain what there is, leave.  Its exit code;
    None: it hangs."""
    child = external(env)
    wait_until(lambda: env.hello() or child.poll() is not None, 10)
    if child.poll() is None:
        child.terminate()
    wait_until(lambda: child.poll() is not None, 20)
    if child.poll() is None:
        child.kill()
        child.wait()
        return None
    return child.returncode


def flip(path, bits, low, high):
    """Flips random bits; the positions."""
    with open(path, 'r+b') as file:
        for _ in range(bits):
            at = random.randrange(low, high)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << random.randrange(8)]))


# ---- flipped bits

env = Env(helper='external', ring_options='lane_size=1m lanes=2')
load = filled(env)
journal = load.journal()
saved = os.path.join(env.root, 'saved')
shutil.copytree(env.ring, saved)
name = os.path.basename(RingFile.all(env.ring)[0])
ring = RingFile(os.path.join(saved, name))
used = [lane['tail'] - ring.start for lane in ring.headers()]

restore(env, saved)
is_(drain(env), 0, 'a helper alone drains a ring and leaves')
check_log(env, load)

codes, invented, lost, flipped = [], [], 0, 0
rounds = count(12, 300)
sizes = [1, 10, 100, count(333, 1300)]          # of soak's: 10^5 bits in all
for i in range(rounds):
    restore(env, saved)
    path = os.path.join(env.ring, name)
    lane = random.randrange(2)
    data = PAGE + lane * ring.stride + PAGE
    flip(path, sizes[i % 4], data, data + max(64, used[lane]))
    flipped += sizes[i % 4]
    codes.append(drain(env))
    report = oracle.check(journal, env.log_files())
    lost += report.counts.get('lost', 0)
    invented += [p for p in report.problems if not p.startswith('lost')]
tally('rings with flipped bits', 2 * rounds)
tally('bits flipped in hits', flipped)
is_(set(codes), {0}, 'the helper drains lanes with flipped bits, and leaves')
is_(invented, [], 'no line is invented, damaged, doubled or out of order')
ok(lost > 0, 'damaged records were met')

codes, invented, changed = [], [], 0
for i in range(rounds):
    restore(env, saved)
    path = os.path.join(env.ring, name)
    start = random.choice([0, PAGE, PAGE + ring.stride])
    flip(path, random.choice([1, 3, 20]), start,
         start + (72 if start == 0 else 208))
    before = content(path)
    codes.append(drain(env))
    report = oracle.check(journal, env.log_files())
    invented += [p for p in report.problems if not p.startswith('lost')]
    if start == 0 and os.path.exists(path + '.aside'):
        changed += content(path + '.aside') != before
ok(all(code is not None and code >= 0 for code in codes),
   'the helper does not crash on headers with flipped bits')
is_(invented, [], 'no line is invented, damaged, doubled or out of order')
is_(changed, 0, 'a ring that was set aside is as it was')
env.allow('.')


# ---- rings that are not ours to read, found by a whole nginx

def other(damage, what):
    """Hits in a ring, damage done to its file, and nginx started on it."""
    trial = Trial(sample=False, follow=False,
                  ring_options='lane_size=1m lanes=6')
    env = trial.env
    env.start()
    load = Load(env, count=500, connections=8)
    load.wait()
    env.wait_drained()
    env.kill_helper(signal.SIGSTOP)
    load = Load(env, count=500, connections=8)
    load.wait()
    env.kill_everything()
    path = RingFile.all(env.ring)[0]
    damage(path)
    before = content(path)
    env.start()
    trial.begin()
    ok(trial.progress(), '%s: hits reach the log by another ring' % what)
    aside = path + '.aside'
    ok(wait_until(lambda: os.path.exists(aside), 10),
       '%s: it is set aside' % what)
    is_(content(aside) == before, True, '%s: not a byte of it is changed'
        % what)
    ok(env.wait_error(os.path.basename(path)), '%s: the log names it' % what)
    trial.quiet()
    ok(env.wait_drained(), '%s: what is new is drained' % what)
    journal = oracle.Journal([one.journal_path for one in trial.loads])
    report = oracle.check(journal, env.log_files(), other=True)
    foreign = {k: v for k, v in report.counts.items() if k != 'invented'}
    is_(foreign, {}, '%s: the log is whole otherwise' % what)
    is_(env.unbalanced(), [], '%s: the books balance' % what)
    env.finish()


def layout(path):
    with open(path, 'r+b') as file:
        file.seek(LAYOUT_AT)
        file.write(struct.pack('<I', 77))


def cut(path):
    os.truncate(path, RingFile(path).file_size // 2)


def size(path):
    with open(path, 'r+b') as file:
        file.seek(LANE_SIZE_AT)
        file.write(struct.pack('<Q', 4 << 20))


def garbage(path):
    with open(path, 'wb') as file:
        file.write(random.randbytes(100000))


other(layout, 'a ring of another version')
other(cut, 'a ring that was cut')
other(size, 'a ring whose sizes do not fit')
other(garbage, 'a file that is no ring')


# ---- geometry changed while hits wait in the old ring

trial = Trial(sample=False, ring_options='lane_size=1m lanes=6').start()
env = trial.env
trial.progress()
env.kill_helper(signal.SIGSTOP)
wait_until(lambda: trial.env.status()['sinks']['log']['pending'] > 500)
env.kill_everything()
trial.quiet()
old = RingFile.all(env.ring)[0]
env.configure(ring_options='lane_size=256k lanes=8')
env.start()
trial.more()
ok(trial.progress(), 'another geometry: hits reach the log')
ok(wait_until(lambda: not os.path.exists(old), 15),
   'the old ring is drained and removed')
env.configure(ring_options='lane_size=2m lanes=8')
second = RingFile.all(env.ring)[0]
ok(env.reload(), 'another geometry comes with a reload')
ok(wait_until(lambda: not os.path.exists(second), 20),
   'the ring before the reload is drained and removed')
trial.finish('geometry changed')

done_testing()
