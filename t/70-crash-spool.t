#!/usr/bin/python3
"""Log and spool both full; the ring's directory emptied while the spool is
kept, as a reboot does."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import (Trial, mount_tmpfs, need_root,
                          resize_tmpfs)         # noqa: E402
from beacon_load import check_log               # noqa: E402

seed()
need_root('a full disk')


# ---- log and spool both full, then repaired

trial = Trial(ring_options='lane_size=512k', load={'rate': 4000},
              spool='%%SPOOL%% size=3m min_free=0%')
env = trial.env
if not mount_tmpfs(env, env.log, '1m'):
    skip_all('no mount here')
env.start()
trial.begin()
ok(wait_until(lambda: env.status()['capture']['refused'] > 500, 40),
   'log and spool full: the ring fills, hits are refused')
probes = []


def probe():
    """A hit larger than those of the load; its answer."""
    probes.append(env.get('/px.gif?site=probe&p=' + 'x' * 1000))
    return probes[-1]


ok(wait_until(lambda: probe().status == 503, 10),
   'a hit is answered 503 then')
is_(probes[-1].header('x-beacon-error'), 'full', 'the answer says why')
status = env.status()
is_(env.unbalanced(status), [], 'the books balance meanwhile')
ok(status['spool']['used_bytes'] <= 3 << 20, 'the spool keeps its limit')
is_(status['sinks']['log']['lost'], 0,
    'nothing is lost while there is no other sink')
helper = env.helper_pid()
resize_tmpfs(env.log, '1g')
ok(trial.progress(), 'repaired: hits reach the log again')
ok(wait_until(lambda: probe().status == 200, 20),
   'repaired: hits are taken again')
trial.quiet()
ok(env.wait_drained(40), 'repaired: all is drained')
is_(env.helper_pid(), helper, 'the helper lived through it')
trial.finish('log and spool full', drained=30, others=probes)
env.finish()


# ---- the helper killed while both are full

trial = Trial(ring_options='lane_size=512k', load={'rate': 4000},
              spool='%%SPOOL%% size=2m min_free=0%', sample=False)
env = trial.env
mount_tmpfs(env, env.log, '1m')
env.start()
trial.begin()
env.allow('exited on signal 9')
wait_until(lambda: env.status()['capture']['refused'] > 100, 40)
for _ in range(count(3, 30)):
    pid = env.kill_helper()
    wait_until(lambda: env.helper_pid() not in (None, pid), 10)
resize_tmpfs(env.log, '1g')
ok(trial.progress(), 'killed while both were full: the log goes on')
trial.finish('helper killed while both were full', drained=40)
env.finish()


# ---- the ring's directory emptied, the spool kept

trial = Trial(ring_options='lane_size=512k', load={'rate': 2000},
              sample=False, follow=False)
env = trial.env
mount_tmpfs(env, env.log, '1m')
env.start()
trial.begin()
ok(wait_until(lambda: env.status()['spool']['used_bytes'] > 2 << 20, 40),
   'the log is full: hits wait in the spool')
trial.quiet()
ok(env.stop(), 'nginx stops')
shutil.rmtree(env.ring)
resize_tmpfs(env.log, '1g')
env.configure(values={'FIELD': 'beacon_field other $host;'},
              http='%%FIELD%%')
env.start()
wait_until(lambda: env.status()['helper']['pid'] == env.helper_pid())
ok(env.wait_drained(30), 'the spool drains after the ring was emptied')
check_log(env, trial.loads, name='ring emptied: every acknowledged hit is in '
          'the log once, unchanged, in order')
is_(env.unbalanced(), [], 'ring emptied: the books balance')
is_([line for line in env.lines() if 'fields' in line], [],
    'ring emptied: old hits are read with the names they were written with')
trial.more(rate=1000, count=500).wait()
ok(env.wait_drained(30), 'ring emptied: new hits are drained')
check_log(env, trial.loads, name='ring emptied: new hits stand behind the '
          'old ones')
is_(env.unbalanced(), [], 'ring emptied: the books balance with new hits')

done_testing()
