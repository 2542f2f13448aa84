#!/usr/bin/python3
"""Workers die by SIGKILL, alone, with the helper, with everything."""

import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import RingFile, Trial        # noqa: E402

seed()


def kill_a_worker(env):
    """One of the workers, at a random moment, and its successor."""
    pids = env.worker_pids()
    victim = random.choice(pids)
    wait_until(lambda: random.random() < 0.3, 1)
    proc.send(victim, signal.SIGKILL)
    return wait_until(lambda: len(set(env.worker_pids()) - {victim})
                      == env.workers, 10)


def all_own_a_lane(env):
    ring = RingFile(RingFile.all(env.ring)[-1])
    return set(env.worker_pids()) <= ring.owners()


trial = Trial(load={'connections': 16}).start()
env = trial.env
env.allow('exited on signal 9')
helper = env.helper_pid()
kills = count(30, 500)

back = sum(bool(kill_a_worker(env)) for _ in range(kills))
is_(back, kills, 'each of %d killed workers has a successor' % kills)
ok(wait_until(lambda: all_own_a_lane(env), 10),
   'every worker owns a lane after that')
is_(env.helper_pid(), helper, 'the helper does not notice')
summaries = trial.quiet()
is_(sum(s['refused'] for s in summaries), 0, 'no hit is refused')
unknown = sum(s['unknown'] for s in summaries)
ok(unknown <= 16 * kills, 'at most the hits being answered are unknown')
tally('worker kills', kills)
trial.finish('workers killed')


trial = Trial(load={'connections': 16}).start()
env = trial.env
env.allow('exited on signal 9')
for _ in range(count(10, 100)):
    victims = [random.choice(env.worker_pids()), env.helper_pid()]
    random.shuffle(victims)
    for pid in filter(None, victims):
        proc.send(pid, signal.SIGKILL)
    if not wait_until(lambda: len(env.worker_pids()) == env.workers
                      and env.helper_pid() not in (None, *victims), 10):
        ok(False, 'worker and helper come back')
        break
tally('kills of worker and helper', count(10, 100))
ok(trial.progress(), 'hits reach the log after worker and helper were killed')
trial.finish('workers and helper killed')


trial = Trial(sample=False).start()
env = trial.env
rounds = count(5, 50)
for _ in range(rounds):
    if not wait_until(lambda: trial.loads[-1].running()
                      and trial.progress(20), 10):
        ok(False, 'hits reach the log')
        break
    env.kill_everything()
    trial.quiet()
    env.start()
    trial.more()
tally('kills of everything', rounds)
ok(trial.progress(), 'hits reach the log after %d kills of everything'
   % rounds)
trial.finish('everything killed at once')

done_testing()
