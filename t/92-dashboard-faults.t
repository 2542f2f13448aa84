#!/usr/bin/python3
"""The dashboard when things go wrong: helper, nginx, network, proxies, clocks,
upgrades.  It says so, and heals by itself."""

import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_dashboard import Dashboard, live_env    # noqa: E402
from beacon_load import Load                    # noqa: E402
from beacon_proxy import Proxy                  # noqa: E402

VIEW = 'beacon_live_view; beacon_live_sites *;'
env = live_env(values={'VIEW': VIEW}, server='''
    location /nosse/ { %%VIEW%% }
    location ~ ^/nosse/v1/[^/]+/stream$ { return 503; }
    location /held/ {
        proxy_pass http://127.0.0.1:%%PORT%%/live/;
        proxy_ignore_headers X-Accel-Buffering;
        proxy_buffer_size 64k;
        proxy_buffers 8 64k;
    }
    location /other/ { %%VIEW%% }
    location = /other/page.json {
        default_type application/json;
        return 200 '{"v":1,"build":"0123456789abcdef","sees":true}';
    }
''')
env.start()
env.allow('exited on signal 9')     # helpers, killed below
proxy = Proxy(free_port(), env.port)
page = Dashboard(env, proxy.port)


def begin(path='/live/', **query):
    page.open(path, **{'site': 'shop', **query})
    page.live()


def arrives(name, seconds=20):
    """A hit that is sent now is shown, sooner or later."""
    page.number += 1
    url = '/arrives/%d' % page.number
    page.hit(url='https://shop.example' + url)
    page.wait(lambda: url in page.pages(), name, seconds)


page.hits(3)
begin()
arrives('a hit arrives')

# ---- helper, nginx

env.kill_helper()
arrives('a hit arrives though the helper was killed')
page.wait(lambda: page.phase() == 'live', 'all is well again')

with open(env.helper + '.false', 'w', encoding='ascii') as file:
    file.write('#!/bin/sh\nexit 4\n')
os.chmod(env.helper + '.false', 0o755)
shutil.copy(env.helper, env.helper + '.kept')
os.rename(env.helper + '.false', env.helper)
env.allow('beacond')
env.kill_helper()
page.hit(url='https://shop.example/waits')
page.wait(lambda: page.phase() == 'down' and 'beacond' in page.state(),
          'with no helper for long it says so', 40)
like(page.state(), r'since \d\d:\d\d:\d\d', 'and since when')
os.rename(env.helper + '.kept', env.helper)
page.wait(lambda: page.phase() == 'live' and '/waits' in page.pages(),
          'with one again it heals, and shows what waited', 60)

for _ in range(3):
    ok(env.reload(), 'nginx reloads')
    arrives('a hit arrives after it')
page.wait(lambda: page.phase() == 'live', 'and the page is live')
unlike('\n'.join(page.rows()), 'missed', 'nothing was missed by all that')

# ---- the network

since = time.monotonic()
proxy.refuse = True
proxy.reset()
page.wait(lambda: page.phase() == 'down', 'the network gone: it greys', 5)
diag('greys after %.1f s' % (time.monotonic() - since))
like(page.state(), r'reconnecting · since \d\d:\d\d:\d\d', 'and says since '
     'when')
ok(page.run("return parseFloat(getComputedStyle(document.querySelector("
            "'main')).opacity) < 1 || document.body.dataset.phase")
   in (True, 'down'), 'to be seen')
page.hits(2, url='https://shop.example/meanwhile')
proxy.heal()
page.wait(lambda: page.phase() == 'live' and page.pages()[:2]
          == ['/meanwhile', '/meanwhile'], 'back again: it heals, and has what '
          'came meanwhile')
proxy.blackhole = True
page.wait(lambda: page.phase() == 'down', 'bytes that go nowhere: it notices',
          25)
proxy.heal()
arrives('and heals', 30)
page.wait(lambda: page.phase() == 'live', 'for good')
page.run("dispatchEvent(new Event('offline'))")
is_(page.phase(), 'down', 'offline greys at once')
page.run("dispatchEvent(new Event('online'))")
page.wait(lambda: page.phase() == 'live', 'online heals')

busy = Load(env, rate=50, site='shop')
page.wait(lambda: page.run('return document.querySelectorAll("#feed li")'
                           '.length') > 4, 'a busy site')
page.run("dispatchEvent(new Event('offline'))")
is_(page.phase(), 'down', 'offline greys it')
page.run("dispatchEvent(new Event('online'))")
page.wait(lambda: page.phase() == 'live',
          'online heals, though its stream never broke')
busy.stop()

# ---- a gap, in words

proxy.refuse = True
proxy.reset()
page.wait(lambda: page.phase() == 'down', 'away for long')
load = Load(env, count=40000, connections=8, site='shop', padding=200)
load.wait()
ok(env.wait_drained(60), 'more hits than the store keeps')
proxy.heal()
missed = page.wait(lambda: re.search(
    r'missed ([\d,]+) hits', '\n'.join(page.rows())),
    'what was missed is told in words', 30)
if missed:
    n = int(missed.group(1).replace(',', ''))
    ok(1000 < n < 40000, 'and how many: %d' % n)
    like(page.state(), 'missed [\\d,]+ hits|live', 'in the page\'s state, too')
page.wait(lambda: page.phase() == 'live', 'and then it is live')
arrives('hits arrive')

# ---- where events do not come through

for path, why in (('/nosse/', 'there are no streams'),
                  ('/held/', 'a proxy keeps them back')):
    begin(path)
    page.hits(2)
    arrives('hits arrive though ' + why, 60)
    page.wait(lambda: any('wait=25' in name for name in page.run(
        "return performance.getEntriesByType('resource').map(e => e.name)")),
        'by long polls', 40)
    page.wait(lambda: page.phase() == 'live', 'all is well')
    arrives('at once', 5)

# ---- another version, another clock

begin('/other/')
page.wait(lambda: 'another version' in page.text('#notices'),
          'a server of another version: it asks to reload')
page.no_faults('axe-core finds nothing')
begin('/other/')
time.sleep(1)
is_(page.text('#notices'), '', 'once')

script = page.before('''
    {
        const Real = Date, off = 5 * 3600 * 1000 + 123;
        Date = class extends Real {
            constructor(...args) {
                super(...(args.length ? args : [Real.now() + off]));
            }
            static now() { return Real.now() + off; }
        };
    }''')
begin()
page.hits(3, vid='late')
page.wait(lambda: page.run("return document.querySelector('#feed .visitor')"
                           ".innerText") == 'late', 'a viewer whose clock is '
          'five hours fast sees hits')
page.run("document.querySelector('#feed .row').click()")
page.wait(lambda: re.search(r'last seen\s+.*· (\d+) s ago',
                            page.text('#trail-body')),
          'how long ago something was is right')
page.key('Escape')
page.wait(lambda: re.search('; in the last whole minute|between', page.run(
    "return document.getElementById('chart').getAttribute('aria-label')")),
    'so is the chart')
page.after(script)

# ---- hidden

begin()
page.hide()
polls = page.run('''
    await new Promise(done => setTimeout(done, 500));
    const count = () => performance.getEntriesByType('resource')
        .filter(e => e.name.includes('/now')).length;
    const before = count();
    await new Promise(done => setTimeout(done, 7000));
    return count() - before;''')
is_(polls, 0, 'nothing is polled while the page is hidden')
page.hide(False)
arrives('it is live when it is seen again')
is_(page.complaints(), [], 'the console is quiet')
page.close()
proxy.stop()
done_testing()
