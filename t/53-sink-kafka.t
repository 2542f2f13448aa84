#!/usr/bin/python3
"""What a stranger's consumer finds in Kafka: values, keys, partitions, times,
headers, topics; and what the status says of it."""

import datetime
import json
import os
import signal
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import kafka_conf       # noqa: E402
from beacon_load import Load                    # noqa: E402

seed()
kafka = Cluster().start()
PARTITIONS = 7
YEAR = datetime.datetime.utcnow().strftime('%Y')

SERVER = '''
    location = /v.gif {
        beacon gif;
        beacon_site $beacon_arg_site;
        beacon_visitor $beacon_arg_vid;
        beacon_field country $http_x_country;
    }
'''


def environment(conf, **options):
    return Env(http=conf, server=SERVER, ring_options='lane_size=4m',
               **options).start()


def values_of(env):
    """The log's lines by id, as bytes without the newline."""
    return {json.loads(line)['id']: line[:-1] for line in env.raw_lines()}


def milliseconds(text):
    time = datetime.datetime.strptime(text, '%Y-%m-%dT%H:%M:%S.%fZ')
    return round(time.replace(tzinfo=datetime.timezone.utc).timestamp()
                 * 1000)


# ---- one record of each kind

for topic in ('hits', 'by-key', 'java'):
    kafka.create(topic, partitions=PARTITIONS)
SITES = ['a', 'b', 'c', 'd', 'e']
for site in SITES + ['load', '_overflow']:
    kafka.create('t.%s.%s' % (site, YEAR))

env = environment(
    kafka_conf(kafka.proxied)
    + kafka_conf(kafka.plain, 'by-key', key='$beacon_field_country',
                 name='keyed')
    + kafka_conf(kafka.plain, 't.$beacon_site.%Y', max_topics=3,
                 name='topics'))

VISITORS = ['v%d' % n for n in range(40)] + ['x' * 64, 'é', 'a b', 'y' * 100]
with env.client() as client:
    for n, visitor in enumerate(VISITORS):
        vid = visitor.replace('é', '%C3%A9').replace(' ', '+')
        client.request('/v.gif?site=a&vid=%s&n=%d' % (vid, n),
                       headers={'X-Country': 'GR' if n % 2 else 'DE'})
    for raw in ('%ff%fe', '%00%0a%22%5c', 'x' * 3000, '%E2%80%A8', '\xff'):
        client.request('/v.gif?site=b&q=' + raw)
    client.request('/v.gif?site=b', method='POST',
                   headers={'Content-Type': 'application/json'},
                   body='{"a":\n[1,2]}')
    for site in ('a', 'b', 'c', 'd', 'e'):
        client.request('/v.gif?site=%s&vid=%s' % (site, site))
total = len(VISITORS) + 6 + 5
ok(env.wait_drained(30, accepted=total), 'all sinks drain')

lines = values_of(env)
records = kafka.read('hits')
is_(len(records), total, 'each hit is one record')
is_({record.headers.get('beacon-id'): record.value for record in records},
    lines, 'whose value is the bytes of the log line, without the newline')
is_([record.headers for record in records],
    [{'beacon-id': record.hit()['id'], 'beacon-version': '1',
      'content-type': 'application/json'} for record in records],
    'its headers are id, version and type')
is_([record.timestamp for record in records],
    [milliseconds(record.hit()['time']) for record in records],
    "its timestamp is the hit's time")
is_([record.key for record in records],
    [visitor and visitor[:64] for visitor
     in (record.hit().get('visitor') for record in records)],
    'its key is the visitor, or 64 bytes of it, none where there is none')

keyed = {record.key: record.partition for record in records if record.key}
java = kafka.ask('produce', topic='java', keys=list(keyed))
is_(list(keyed.values()), java,
    'its partition is where a Java producer puts that key')
is_(len({(record.key, record.partition) for record in records
         if record.key}), len(keyed), 'always the same one')

found = kafka.read('by-key')
is_({(record.key, record.hit()['fields']['country']) for record in found
     if 'fields' in record.hit()}, {('GR', 'GR'), ('DE', 'DE')},
    'a key may be a template')
is_(len(found), total, 'of which every hit has a record')

# ---- topics

found = kafka.read(*['t.%s.%s' % (site, YEAR)
                     for site in SITES + ['_overflow']])
is_(len(found), total, 'a topic may be a template, too')
where = {}
for record in found:
    where.setdefault(record.topic, set()).add(record.hit()['site'])
is_(len(where), 3, 'no more than max_topics are used')
own = [topic for topic in where if '_overflow' not in topic]
is_([where[topic] for topic in sorted(own)],
    [{topic.split('.')[1]} for topic in sorted(own)],
    'a site has its topic, whose time is the hit\'s')
is_(where.get('t._overflow.' + YEAR),
    set(SITES) - {topic.split('.')[1] for topic in own},
    "beyond that they go to the overflow's, with their own site")

# ---- the status

wait_until(lambda: all(env.status()['sinks'][name]['last_success']
                       and env.status()['sinks'][name]['in_flight'] == 0
                       for name in ('kafka', 'keyed', 'topics')))
status = env.status()
sink = status['sinks']['kafka']
is_((sink['type'], sink['done'], sink['lost'], sink['pending']),
    ('kafka', total, 0, 0), 'the books balance')
is_(sink['in_flight'], 0, 'nothing is in flight')
is_((sink['parked'], sink['failing'], sink['dead_letters']), ({}, {}, 0),
    'no topic is parked, no letter dead')
is_(list(status['sinks']), ['log', 'kafka', 'keyed', 'topics'],
    'each cluster has an entry of its name')
ok(wait_until(lambda: any(
    broker['state'] == 'UP' and broker['rtt_ms'] > 0 for broker
    in env.status()['sinks']['kafka']['brokers'].values()), 10),
   'it tells the brokers, that they are up, and their round-trip time')
like(str(sink['last_success']), r'^20\d\d-', 'and the last success')
ok(wait_until(lambda: env.status()['sinks']['topics']['overflow'] > 0),
   'and the overflow')

# ---- a reload that changes nothing for it, and one that does

path = os.path.join(env.root, 'kafka.properties')
with open(path, 'w') as file:
    file.write('client.id=one\n')
accepted = kafka.proxies[0].accepted
lines_moved = '\n\n' + env.options['http']
env.configure(http=lines_moved.replace(
    'beacon_kafka brokers=%s topic=t.' % kafka.plain,
    'beacon_kafka_property_file %s;\nbeacon_kafka brokers=%s topic=t.'
    % (path, kafka.plain)))
ok(env.reload(), 'a reload')
generation = env.hello()[1]
ok(wait_until(lambda: env.hello()[1] >= 2, 10), 'that the helper adopts')
mode = os.stat(env.ring + '/beacon.json').st_mode
is_(stat.S_IMODE(mode), 0o600, 'beacon.json is for the worker user alone')


def stamp():
    with open(env.ring + '/beacon.json') as file:
        return [sink.get('property_stamp') for sink
                in json.load(file)['sinks']]


first = stamp()
is_(kafka.proxies[0].accepted, accepted,
    'one that only stands elsewhere keeps its connections')
ok(first[2] and not first[1], 'the property file has a stamp')
with open(path, 'w') as file:
    file.write('client.id=two2\n')
generation = env.hello()[1]
ok(env.reload() and wait_until(lambda: env.hello()[1] > generation, 10),
   'a reload with nothing but another property file')
isnt(stamp()[2], first[2], 'has another stamp')
load = Load(env, path='/v.gif', count=2000, rate=4000)
load.wait()
ok(env.wait_drained(30, accepted=total + 2000), 'hits arrive')
is_(kafka.count('hits'), total + 2000, 'once each')

# ---- stop and start

load = Load(env, path='/v.gif', count=6000, rate=6000)
wait_until(lambda: kafka.count('hits') > total + 2500, 20)
ok(env.stop(signal.SIGQUIT), 'nginx and helper stop while hits come in')
load.stop()
env.start()
accepted = env.status()['capture']['accepted']
ok(env.wait_drained(30), 'the next ones drain what was left')
records = kafka.read('hits')
if not ok(len(records) == accepted
          or env.error_lines('leaving without|stay in the ring'),
          'a stop that ends in time doubles nothing in Kafka'):
    ids = {record.headers['beacon-id'] for record in records}
    diag('%d records, %d ids, %d accepted, later %d' % (
        len(records), len(ids), accepted,
        env.status()['capture']['accepted']))
    diag('\n'.join(env.error_lines('beacond')))
is_({record.headers['beacon-id']: record.value for record in records},
    values_of(env), 'and loses nothing')
env.finish()

# ---- two clusters, one of them down

kafka.create('two')
kafka.create('second')
for proxy in kafka.proxies:
    proxy.refuse = True
began = time.monotonic()
env = environment(kafka_conf(kafka.plain, 'two')
                  + kafka_conf(kafka.proxied, 'second', name='down'))
load = Load(env, path='/v.gif', seconds=7, rate=1000)
ok(wait_until(lambda: env.status()['sinks']['down'].get('last_error')
              and env.status()['sinks']['down']['brokers_up'] == 0, 5),
   'a cluster that is down shows within 5 s')
accepted = load.wait()['ok']
ok(env.wait_drained(10, sinks=('log', 'kafka'), accepted=accepted),
   'the log and the other cluster go on')
is_(kafka.count('two'), accepted, 'with every hit')
sink = env.status()['sinks']['down']
is_((sink['done'], sink['lost'], sink['pending']), (0, 0, accepted),
    'the one that is down has them pending')
said = env.error_lines('"down"')
ok(1 <= len(said) <= 2 + (time.monotonic() - began) // 60,
   'the error log tells it, not more than once a minute')
if len(said) != 1:
    diag('\n'.join(said))
for proxy in kafka.proxies:
    proxy.heal()
ok(env.wait_drained(30), 'it catches up when it is back')
is_(len({record.headers['beacon-id'] for record in kafka.read('second')}),
    accepted, 'with every hit')
is_(kafka.count('second'), accepted, 'once')
env.finish()
done_testing()
