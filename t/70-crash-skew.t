#!/usr/bin/python3
"""Module of one build, helper of another: layouts N-1 and N are read, an
unknown one is left alone until its helper comes; names of fields are those of
the day the hit was written."""

import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import RingFile, Trial        # noqa: E402
from beacon_load import Load, check_log         # noqa: E402

seed()


def build(layout, *targets):
    """Module or helper of another layout number, beside the others; compiled
    fast."""
    directory = os.path.relpath(os.path.join(BUILD, 'layout%d' % layout), TOP)
    done = subprocess.run(
        ['make', '-s', '-C', TOP, 'B=' + directory, 'CFLAGS=-O1',
         'DEFINES=-DBEACON_LAYOUT=%d' % layout, *targets],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False, text=True)
    if done.returncode != 0:
        diag(done.stdout[-2000:])
        bail_out('a build with layout %d' % layout)
    return (os.path.join(TOP, directory, 'ngx_http_beacon_module.so'),
            os.path.join(TOP, directory, 'beacond'))


class Skewed(Env):
    """nginx with a module that is not this build's."""

    def __init__(self, module, **options):
        super().__init__(**options)
        if module:
            self.module = module
            self.configure()


def trial_with(module, helper=None):
    trial = Trial(env=Skewed(module), load={'rate': 1000})
    trial.env.allow('exited on signal 9')       # of a helper
    if helper:
        trial.env.install_helper(helper)
    return trial


def layout_of(env):
    return RingFile(RingFile.all(env.ring)[-1]).layout


ours = os.path.join(BUILD, 'beacond')
module_1, _ = build(1, 'module')
module_3, helper_3 = build(3, 'module', 'beacond')

# ---- the module a version behind the helper: a package upgraded, nginx not

trial = trial_with(module_1)
env = trial.env
env.start()
is_(layout_of(env), 1, 'an old module makes a ring of layout N-1')
trial.begin()
ok(trial.progress(), 'this helper drains it')
env.kill_helper()
ok(trial.progress(), 'and so does its successor')
trial.finish('old module, this helper', failed=0)
env.finish()

trial = trial_with(None, helper_3)
env = trial.env
env.start()
is_(layout_of(env), 2, 'this module makes a ring of layout N')
trial.begin()
ok(trial.progress(), 'a helper of the next version drains it')
trial.finish('this module, next helper', failed=0)
env.finish()

# ---- upgraded step by step under load: helper first, then the module

trial = trial_with(None)
env = trial.env
env.start()
trial.begin()
trial.progress()
env.install_helper(helper_3)
env.kill_helper()
ok(trial.progress(), 'the helper is upgraded first: hits reach the log')
env.module = module_3
env.configure()
old, new = env.upgrade()
ok(new, 'then nginx with its module')
env.kill(signal.SIGQUIT, old)
ok(proc.wait_gone(old, 20), 'the old master leaves')
ok(wait_until(lambda: len(RingFile.all(env.ring)) == 1
              and layout_of(env) == 3, 20),
   'the old ring is drained and removed, the new one is of the next layout')
ok(trial.progress(), 'hits reach the log through it')
trial.finish('upgraded under load', failed=0)
env.finish()

# ---- the module ahead of the helper: nothing is read wrongly, nothing lost

env = Skewed(module_3, ring_options='lane_size=256k lanes=8')
env.start(ready=False)
wait_until(lambda: len(env.worker_pids()) == env.workers)
load = Load(env, connections=8, rate=2000, seconds=4, padding=300)
summary = load.wait()
ok(summary['refused'] > 0 and summary['ok'] > 0,
   'a helper that does not know the layout: hits are taken, then refused')
is_(env.raw_lines(), [], 'no line is made of what it cannot read')
is_(layout_of(env), 3, 'a ring in use is not set aside')
env.install_helper(helper_3)
for pid in env.helper_pids():
    proc.send(pid, signal.SIGTERM)
ok(env.wait_drained(30), 'with its own helper all of them are drained')
check_log(env, load, name='next module: every acknowledged hit is in the log '
          'once, unchanged, in order')
env.finish()

# ---- fields change their order under load; each hit keeps its names

FIELDS = ('beacon_field client $arg_c;', 'beacon_field number $arg_n;',
          'beacon_field hash $arg_h;')
trial = Trial(http='%%FIELDS%%', values={'FIELDS': '\n'.join(FIELDS)},
              follow=False, load={'rate': 1500})
env = trial.env
env.start()
trial.begin()
env.allow('exited on signal 9')
orders = [(2, 1, 0), (1,), (0, 2), (0, 1, 2)]
for order in orders:
    trial.progress(20)
    env.kill_helper(signal.SIGSTOP)     # so that hits of both kinds wait
    env.configure(values={'FIELDS': '\n'.join(FIELDS[i] for i in order)})
    env.reload(adopted=False)
    for pid in env.helper_pids():
        proc.send(pid, signal.SIGKILL)
    names = [FIELDS[i].split()[1] for i in order]
    # the last line may be half of one
    wait_until(lambda: list(json.loads(env.raw_lines()[-2])['fields'])
               == names, 20, 0.1)
trial.progress(20)
trial.finish('fields change')
wrong = [line['id'] for line in env.lines()
         if any(line['args'][key[0]] != value
                for key, value in line.get('fields', {}).items())]
is_(wrong, [], 'every hit has the field names it was written with')
is_(len({tuple(line.get('fields', {})) for line in env.lines()}), 4,
    'and they were written in four ways')

done_testing()
