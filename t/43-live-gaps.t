#!/usr/bin/python3
"""What the live API says of hits that it has not: holes in a feed, and a site
that went to make room and came again."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_collect import Feed                 # noqa: E402
from beacon_view import Live                    # noqa: E402

SITES = 400             # more than 8m has room for

port = free_port()
endpoint = 'tcp://127.0.0.1:%d' % port
feed = Feed(endpoint)
env = Env(workers=1, http='''
    beacon_live size=8m visitors=10s;
    beacon_spy_collect connect=%s;
''' % endpoint, server='''
    location /live/ { beacon_live_view; beacon_live_sites *; }
''')
env.start()
live = Live(env)
ok(live.there() and feed.subscribed(), 'a master is there')

# ---- holes

for _ in range(6):
    feed.hit('shop')
feed.skip('shop', 7)
for _ in range(5):
    feed.hit('shop')
feed.skip('shop', 3)


def page(query):
    return live.json('/v1/shop/hits?limit=100' + query)


def last(site='shop'):
    """The site's newest sequence; 0: it is not there."""
    response = live.get('/v1/%s/hits?limit=0' % site)
    return (int(response.json()['next'].split('.')[1])
            if response.status == 200 else 0)


ok(wait_until(lambda: feed.beat('shop') or last() == 21, 20),
   'hits and holes are in the store')
epoch = live.cursor().split('.')[0]
for query, gap, what in (
        ('&since=%s.0' % epoch, 10, 'holes behind a cursor are a gap'),
        ('&since=%s.0&args.n=2' % epoch, 10, 'whatever is filtered'),
        ('&args.n=2', 10, 'without a cursor they count once'),
        ('&args.n=8', 3, 'those behind the first hit that passes'),
        ('&args.n=nothing', 10, 'or all, where none does')):
    is_(page(query)['gap'], gap, what)
is_(live.json('/v1/shop/hits?args.n=2&limit=1')['gap'], 0,
    'those behind the page are of the next one')

def hole():
    """What a poll is told of a hole that comes while it waits; None: its time
    was over before."""
    end = last() + 2
    with env.client() as client:
        client.send(client.format('/live/v1/shop/hits?wait=25&since='
                                  + live.cursor()))
        live.cursor()                   # what is answered behind it
        feed.skip('shop', 2)
        wait_until(lambda: feed.beat('shop') or last() == end, 20)
        if not wait_until(lambda: client.closed() or client.buffer, 15):
            return 'nothing'
        answer = client.response().json()
        return answer['gap'] and (answer['hits'], answer['gap'])


is_(wait_until(hole, 60), ([], 2), 'who waits is told of a hole at once')

# ---- an edge that restarts with an older clock

was = None
for hour in (12, 11):
    for n in range(5):
        feed.hit('clock', line=feed.line(
            'clock', n=n + 5 * (12 - hour),
            time='2026-11-22T%d:00:00.%03dZ' % (hour, n)))
    ok(wait_until(lambda: last('clock') == 5 * (13 - hour), 10),
       'hits at %d o\'clock' % hour)
    was = was or live.cursor('clock')
    feed.restart()
answer = live.json('/v1/clock/hits?since=' + was)
is_(([hit['args']['n'] for hit in answer['hits']], answer['gap']),
    ([str(n) for n in range(5, 10)], 0),
    'hits of an older time come behind a cursor like others')
is_(live.json('/v1/clock/now')['hits'], 10, 'they count when they come')
row = live.json('/v1/clock/visitors')['visitors'][0]
is_((row['hits'], len(live.json('/v1/clock/visitors?id='
                                + row['visitor'])['trail'])), (10, 10),
    'and belong to who made them')

# ---- a site that went

was = live.cursor('shop')
waits = live.stream('/v1/shop/stream')
poll = env.client()


def wait_behind(cursor):
    poll.send(poll.format('/live/v1/shop/hits?wait=25&limit=1000&args.n=never'
                          '&since=' + cursor))


def waited():
    """What who waits is told, as often as it takes until it is a reset."""
    answer = poll.response().json()
    while not answer.get('reset') and answer['next'] != live.cursor('shop'):
        wait_behind(answer['next'])
        answer = poll.response().json()
    return answer


wait_behind(was)


def more():
    """Sites until the first has to go: it has had no hit for 10 s."""
    more.n += 1
    feed.hit('new%d' % more.n)
    return not last()


more.n = 0
for n in range(SITES):
    feed.hit('s%d' % n)
ok(wait_until(more, 40, 0.2), 'a site goes')
ok(wait_until(lambda: feed.hit('shop') or last(), 40, 0.2),
   'and comes again, as another goes')
behind = '%s.%d' % (epoch, int(was.split('.')[1]) - 5)
feed.hit('shop', line=feed.line('shop', n=4711))
ok(wait_until(lambda: page('')['hits'][-1]['args']['n'] == '4711'),
   'with all that was sent until then')
answer = live.json('/v1/shop/hits?since=' + behind)
is_((answer.get('reset'), answer['hits'], answer['next']),
    (True, [], live.cursor('shop')), 'a cursor from before begins anew')
with live.stream('/v1/shop/stream?since=' + behind) as stream:
    is_(stream.next().event, 'reset', 'a stream, too')
event = waits.next()
is_((event.event, event.json()), ('reset', {'reset': True}),
    'so does one that was open all the time')
events = [waits.next()]
while events[-1].json()['args']['n'] != '4711':
    events.append(waits.next())
is_((waits.last_id, {event.event for event in events}),
    (live.cursor('shop'), {'message'}), 'with all that came since')
is_(waited().get('reset'), True, 'and who waits')
waits.client.close()
poll.close()

live.conforms()
env.stop()
feed.close()
done_testing()
