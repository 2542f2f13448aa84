#!/usr/bin/python3
"""File descriptors run out, in workers and in the helper: nothing dies,
nothing that was acknowledged is lost; and the helper's memory stays what it
was."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import Trial                  # noqa: E402
from beacon_load import check_log               # noqa: E402

seed()


def open_fds(pid):
    return len(os.listdir('/proc/%d/fd' % pid))


def limit(pid, n):
    """As the user it runs as: root needs a capability for that."""
    options = ({'user': env.user, 'group': env.user, 'extra_groups': []}
               if env.user else {})
    subprocess.run(['prlimit', '--pid', str(pid), '--nofile=%d:' % n],
                   check=True, cwd='/', **options)


# ---- workers

trial = Trial(load={'connections': 8}).start()
env = trial.env
ok(trial.progress(), 'hits reach the log')
workers = env.worker_pids()
for pid in workers:
    limit(pid, open_fds(pid))
clients = []
for _ in range(20):                     # nobody has a descriptor for these
    clients.append(env.client())
ok(trial.progress(), 'workers without descriptors go on with who is connected')
is_(env.worker_pids(), workers, 'no worker exits for want of descriptors')
for client in clients:
    client.close()
for pid in workers:
    limit(pid, 1024)
answer = env.get('/px.gif?site=other')
is_(answer.status, 200, 'and take connections again')
trial.finish('workers without descriptors', others=[answer])

# ---- the helper: more sites than it may open files

trial = Trial(load={'connections': 8, 'sites': 60}, follow=False).start()
env = trial.env
helper = env.helper_pid()
limit(helper, open_fds(helper) + 3)
ok(wait_until(lambda: env.status()['capture']['accepted'] > 5000, 20),
   'hits are taken while the helper lacks descriptors')
limit(env.helper_pid(), 1024)
trial.quiet()
ok(env.wait_drained(30), 'with descriptors again all is drained')
check_log(env, trial.loads, name='helper without descriptors: every '
          'acknowledged hit is in the log once, unchanged, in order')
trial.finish('helper without descriptors')

# ---- the helper's memory

def rss(pid):
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        for line in file:
            if line.startswith('RssAnon:'):
                return int(line.split()[1]) // 1024


trial = Trial(load={'rate': 0, 'connections': 32, 'count': count(50000,
                                                                 10000000)},
              sample=False, follow=False, spool=None).start()
env = trial.env
ok(wait_until(lambda: env.status()['capture']['accepted'] > 10000, 60),
   'hits are taken as fast as they come')
early = rss(env.helper_pid())
trial.loads[0].wait(3600)
late = rss(env.helper_pid())
diag('helper: %d MiB after 10,000 hits, %d MiB at the end' % (early, late))
ok(late <= early + 4, "the helper's memory does not grow with its hits")
ok(late <= 24, 'and is at most 24 MiB')
trial.finish('memory')

done_testing()
