#!/usr/bin/python3
"""Clocks that step: the helper's, nginx's, a year back, an hour on.  Ids stay
in order, nothing is lost, nothing stalls."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_clock import MAIN, Clock            # noqa: E402
from beacon_fault import Trial, external        # noqa: E402

if os.path.basename(BUILD) != 'build':
    skip_all('a sanitizer wants to be the first that is loaded')

seed()

DAY = 86400
STEPS = (-365 * DAY, 0, 3600, -7200)


def stalls():
    """The steps of the clock behind which no hit reaches the log."""
    stalled = []
    for step in STEPS:
        trial.progress(20)
        clock.step(step)
        if not trial.progress(200):
            stalled.append(step)
    return stalled


# ---- the helper's clock

trial = Trial(helper='external', load={'rate': 1500})
env = trial.env
clock = Clock(env.root)
env.start(ready=False)
with clock:
    child = external(env)
ok(wait_until(env.helper_pid), 'the helper starts with a clock of its own')
trial.begin()
is_(stalls(), [], "the helper drains on whatever its clock does")
ok(child.poll() is None, 'the helper lives')
trial.finish("the helper's clock steps", failed=0)
child.terminate()
child.wait()
env.finish()

# ---- nginx's clock (and the helper's with it)

trial = Trial(main=MAIN, load={'rate': 1500})
env = trial.env
clock = Clock(env.root)
with clock:
    env.start()
trial.begin()
is_(stalls(), [], 'hits reach the log whatever the clock does')
trial.finish('the clock steps', failed=0)
years = {line['time'][:4] for line in env.lines()}
ok(len(years) > 1, 'the hits do tell of two years')

done_testing()
