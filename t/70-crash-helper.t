#!/usr/bin/python3
"""The helper dies by SIGKILL: at random under load, at every named point,
faster than it can drain."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import Trial                  # noqa: E402

seed()

trial = Trial(load={'rate': 5000, 'connections': 16}).start()
env = trial.env
env.allow('exited on signal 9')
kills = count(30, 1000)
back = told = 0
for _ in range(kills):
    pid = env.helper_pid()
    time.sleep(random.expovariate(1 / 0.3))     # any moment is as good
    told += env.status()['helper']['pid'] == pid
    env.kill_helper()
    back += bool(wait_until(lambda: env.helper_pid() not in (None, pid), 10))
tally('helper kills', kills)
is_(back, kills, 'each of %d killed helpers has a successor' % kills)
ok(trial.progress(), 'hits reach the log after that')
is_(len(env.helper_pids()), 1, 'there is one helper')
status = trial.finish('helper killed', failed=0)
# but for helpers that were killed before they had published their books
ok(told > 0 and status['helper']['restarts'] >= told,
   'the status counts the restarts') or diag('%d, %s' % (told,
                                                         status['helper']))

trial = Trial(load={'rate': 5000, 'connections': 16}, log=[
    '%%LOG%%/$beacon_site.jsonl sync=always', '%%LOG%%2/all.jsonl name=all'])
env = trial.start().env
env.allow('exited on signal 9')
for _ in range(count(10, 100)):
    pid = env.helper_pid()
    wait_until(lambda: random.random() < 0.2, 1)
    env.kill_helper()
    wait_until(lambda: env.helper_pid() not in (None, pid), 10)
trial.finish('helper of two logs killed', failed=0)
is_(sorted(line['id'] for line in env.lines()),
    sorted(line['id'] for line in env.lines('../log2/all.jsonl')),
    'both logs hold the same hits')

done_testing()
