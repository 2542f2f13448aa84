#!/usr/bin/python3
"""make demo's program: it shows hits arriving, accounts for all of them, and
leaves nothing behind."""

import glob
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

if os.path.basename(BUILD) != 'build':
    skip_all('the demo runs the normal build')

DEMO = os.path.join(TOP, 'conf', 'demo', 'demo')


def environment(**values):
    return {**os.environ, 'DEMO_PORT': str(free_port()), **values}


def left():
    """What demos left of their directories."""
    return {path for parent in ('/tmp', '/run', '/dev/shm')
            for path in glob.glob(parent + '/beacon-demo.*')}


before = left()
done = subprocess.run([DEMO], env=environment(DEMO_SECONDS='3'),
                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                      stderr=subprocess.STDOUT, text=True, check=False)
is_(done.returncode, 0, 'the demo ends well') or diag(done.stdout)
like(done.stdout, r'is running.*\n\n  the page +http://127\.0\.0\.1:\d+/live/',
     'it says first where the page is')
like(done.stdout, r'the pixel +http://127\.0\.0\.1:\d+/px\.gif\?site=',
     'it says where the pixel is')
like(done.stdout, r'the status +http://127\.0\.0\.1:\d+/beacon-status',
     'it says where the status is')
lines = re.findall(r'^\{"v":1,"id":.*\}$', done.stdout, re.M)
ok(len(lines) >= 8, 'it shows lines as they arrive')
like(done.stdout, r'accepted +(\d+)  =  \1 done \+ 0 lost \+ 0 pending',
     'its books balance')
like(done.stdout, 'Every hit is accounted for', 'it says so')

# Ctrl-C, more than once as people do, with the helper killed before.
child = subprocess.Popen([DEMO], env=environment(DEMO_SECONDS=''),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
output = ''
seen = {}
for text in child.stdout:
    output += text
    page = re.search(r'the page +http://127\.0\.0\.1:(\d+)/live/', text)
    if page:
        port = int(page.group(1))
    hint = re.search(r'kill -9 ([1-9]\d*)', text)
    if hint:
        os.kill(int(hint.group(1)), signal.SIGKILL)
    if not seen and len(re.findall(r'^\{"v":1,"id":.*\}$', output,
                                   re.M)) >= 30:
        with Client(port) as client:
            seen['page'] = client.request('/live/').status
            seen['sites'] = {row['site'] for row in client.request(
                '/live/v1/sites').json()['sites']}
            seen['now'] = client.request('/live/v1/shop/now').json()
        child.send_signal(signal.SIGINT)
output += child.stdout.read()
is_(child.wait(), 0, 'Ctrl-C ends it well, though its helper was killed') \
    or diag(output)
like(output, r'accepted +(\d+)  =  \1 done \+ 0 lost \+ 0 pending',
     'nothing is missing then')
is_(seen['page'], 200, 'the dashboard was there')
is_subset({'shop', 'news'}, seen['sites'], 'with several sites')
ok(all(seen['now']['top'][kind] for kind in ('page', 'referrer', 'country')),
   'pages, referrers and countries') or diag(seen['now'])

# With a broker.
if os.path.exists(os.path.join(TOP, 'build', 'kafka', 'libs.done')):
    done = subprocess.run([DEMO], env=environment(DEMO_SECONDS='3',
                                                  DEMO_KAFKA='1'),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    is_(done.returncode, 0, 'it ends well with Kafka, too') \
        or diag(done.stdout)
    like(done.stdout, r'the topic +hits, at 127\.0\.0\.1:\d+',
         'it says where the topic is')
    like(done.stdout, r'\n  kafka hits-\d @\d+ key \S+ +\{"v":1,"id":"',
         'it shows the topic filling')
    found = re.search(r'accepted +(\d+) .*in Kafka +(\d+)\n', done.stdout,
                      re.S)
    is_(found and found.group(2), found and found.group(1),
        'with every hit')
else:
    skip('build/kafka is not there: run make deps-test', 4)
is_(left() - before, set(), 'nothing is left of its directories')

done_testing()
