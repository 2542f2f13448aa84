#!/usr/bin/python3
"""Topics are missing, refused, deleted, made again, too small for a message;
passwords and authorities are wrong: only what is concerned waits, and goes
out when it can."""

import json
import os
import random
import re
import shutil
import string
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Authority, Cluster     # noqa: E402
from beacon_kafka_fault import (KafkaTrial, check_kafka,
                                kafka_conf)     # noqa: E402

seed()
kafka = Cluster().start()

# ---- one topic is missing; rights, passwords, authorities are wrong

kafka.create('hits')
for site in ('good', 'denied'):
    kafka.create('acl.' + site)
kafka.create('miss.there')
for topic in ('sasl', 'tls'):
    kafka.create(topic)
kafka.ask('deny', user='other', topic='acl.denied')


def secrets(name, text):
    """A property file of a trial's."""
    path = os.path.join(kafka.dir, name)
    with open(path, 'w') as file:
        file.write(text)
    os.chmod(path, 0o640)
    if os.geteuid() == 0:
        import pwd
        os.chown(path, 0, pwd.getpwnam('www-data').pw_gid)
    return path


def login(user, password):
    return ('security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\n'
            'sasl.username=%s\nsasl.password=%s\n' % (user, password))


os.mkdir(kafka.dir + '/wrong')
wrong = Authority(kafka.dir + '/wrong').ca
os.chmod(kafka.dir + '/wrong', 0o755)
PASSWORD = 'hunter2-hunter2'
sasl = secrets('sasl', login('beacon', PASSWORD))
acl = secrets('acl', login('other', 'right'))
tls = secrets('tls', 'security.protocol=ssl\nssl.ca.location=%s\n' % wrong)
trial = KafkaTrial(
    kafka, kafka_conf(kafka.plain)
    + kafka_conf(kafka.sasl, 'sasl', name='sasl', file=sasl)
    + kafka_conf(kafka.tls, 'tls', name='tls', file=tls)
    + kafka_conf(kafka.sasl, 'acl.$beacon_site', name='acl', file=acl)
    + kafka_conf(kafka.plain, 'miss.$beacon_site', name='miss'),
    load={'rate': 300, 'site': 'good'}, follow=False)
trial.env.start()
started = time.monotonic()
good = trial.begin().loads[0]
denied = trial.more(site='denied', rate=200)
there = trial.more(site='there', rate=200)
kafka.create('acl.there')

for name, pattern in (('sasl', 'uthenticat'), ('tls', '[Ss][Ss][Ll]|verif'),
                      ('acl', 'uthoriz'), ('miss', 'nknown topic')):
    sink = trial.told(lambda sink: re.search(pattern, json.dumps(sink)), 5,
                      name)
    like(json.dumps(sink), pattern, '%s: the status tells within 5 s' % name)
    ok(trial.env.wait_error('"%s".*(%s)' % (name, pattern), 5),
       '%s: and the error log' % name)
ok(trial.moves(2000, 20), 'another cluster goes on')
ok(wait_until(lambda: kafka.count('acl.good') and kafka.count('acl.there'),
              20), 'topics that are allowed go on')
ok(wait_until(lambda: kafka.count('miss.there'), 20),
   'so do topics that exist')
is_(kafka.count('acl.denied'), 0, 'nothing is in the one that is denied')
# parked after 30 s
sink = trial.told(lambda sink: list(sink['parked']) == ['acl.denied'], 45,
                  'acl')
is_(list(sink['parked']), ['acl.denied'], 'it is parked')
like(json.dumps(sink['parked']), 'uthoriz', 'with the reason')
sink = trial.told(lambda sink: len(sink['parked']) == 2, 20, 'miss')
is_(sorted(sink['parked']), ['miss.denied', 'miss.good'],
    'as are the missing ones')
ok(sink['pending'] >= sink['parked_hits'] > 1000, 'whose hits are pending')
n = kafka.count('miss.there')
ok(wait_until(lambda: kafka.count('miss.there') > n + 200, 20),
   'and which hold up nobody')
if not ok(len(trial.env.error_lines('"(sasl|tls|acl|miss)"')) < 40,
          'the error log is not flooded'):
    diag('\n'.join(trial.env.error_lines('"(sasl|tls|acl|miss)"')[:20]))

minutes = 1 + int((time.monotonic() - started) / 60)
for name, what in (('sasl', ''), ('tls', ''), ('acl', 'topic "[^"]*": '),
                   ('miss', 'topic "[^"]*": ')):
    told = trial.env.error_lines('sink "%s": %s' % (name, what))
    if not ok(1 <= len(told) <= minutes,
              '%s: the error log has one line a minute' % name):
        diag('\n'.join(told))

kafka.ask('allow', user='other', topic='acl.denied')
kafka.create('miss.good')
kafka.create('miss.denied')
secrets('sasl', login('beacon', 'right'))
shutil.copy(kafka.ca, wrong)            # renewed where it is
generation = trial.env.hello()[1]
ok(trial.env.reload() and wait_until(
    lambda: trial.env.hello()[1] > generation, 10), 'a reload')
for name in ('sasl', 'tls'):
    ok(trial.moves(name=name, seconds=30),
       '%s: recovers with the right one by HUP' % name)
for name in ('acl', 'miss'):
    is_(trial.told(lambda sink: not sink['parked'], 90, name)['parked'], {},
        '%s: recovers' % name)

# deleted, and created again: lost at most what was acknowledged into it
kafka.delete('miss.there')
ok(wait_until(lambda: 'miss.there' not in kafka.ask('count'), 60),
   'a topic goes')
time.sleep(2)                           # hits come for it meanwhile
kafka.create('miss.there')
ok(wait_until(lambda: kafka.count('miss.there') > 200, 60),
   'a topic deleted and created again fills again')
trial.finish('wrong rights and missing topics')
for topics in (('sasl',), ('tls',), ('acl.good', 'acl.denied', 'acl.there')):
    check_kafka(kafka, trial.env, trial.loads, *topics,
                name='every acknowledged hit is in %s, once, in order'
                % ', '.join(topics))
check_kafka(kafka, trial.env, [good, denied], 'miss.good', 'miss.denied',
            name='and in those that were created late')
everything = b''
for path in [trial.env.error_log] + [
        os.path.join(top, name) for top, _, names in os.walk(trial.env.shm)
        for name in names]:
    if os.path.isfile(path) and not path.endswith('beacon.json'):
        with open(path, 'rb') as file:
            everything += file.read()
ok(PASSWORD.encode() not in everything
   and PASSWORD not in json.dumps(trial.env.status()),
   'no password is in a log, the status, or a file')
trial.env.finish()

# ---- too large for the topic

kafka.create('small', max__message__bytes='3000')
trial = KafkaTrial(kafka, kafka_conf(kafka.plain, 'small',
                                     properties={'linger.ms': '200'}),
                   load={'rate': 500, 'padding': 300}, follow=False)
trial.start()
env = trial.env
ok(trial.moves(200), 'hits flow')
others = []
with env.client() as client:
    for n in range(12):
        padding = ''.join(random.choices(string.ascii_letters, k=6000))
        others.append(client.request(
            '/px.gif?site=big&p=' + padding,    # bytes and numbers as they are
            **({}, {'method': 'POST', 'body': '{"%%00":1%s}' % ('0' * 400),
                    'headers': {'Content-Type': 'application/json'}},
               {'method': 'POST', 'body': 'q=%00%22,%22value%22:1',
                'headers': {'Content-Type':
                            'application/x-www-form-urlencoded'}})[n % 3]))
        time.sleep(0.1)
ok(trial.told(lambda sink: sink['dead_letters'] == 12, 30)
   .get('dead_letters') == 12, 'twelve messages are too large, and so told')
ok(trial.moves(500), 'the following ones pass')
trial.quiet()
wait_until(lambda: trial.sink()['pending'] == 12, 30)
status = env.status()['sinks']['kafka']
is_((status['pending'], status['lost']), (12, 0), 'they alone are pending')
big = {hit['id'] for hit in env.lines() if hit['site'] == 'big'}
found = kafka.read('small')
is_([r for r in found if r.hit()['site'] == 'big'], [],
    'none of them is in Kafka')
is_(len(found), len(env.lines()) - 12, 'but all others are, once')


def letters(op):
    """(exit code, what it says) of beacond dead-letter."""
    done = subprocess.run(
        [env.helper, 'dead-letter', op, '-c', env.ring + '/beacon.json'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


code, said = letters('list')
is_(code, 0, 'beacond dead-letter list')
ids = set(re.findall(r'[0-9a-f]{16}-[0-9a-f]+-[0-9a-f]+', said))
is_(ids, big, 'names exactly those')
paths = [os.path.join(top, name) for top, _, names in os.walk(env.spool)
         for name in names if name.endswith('.dead')]
is_([oct(os.stat(path).st_mode & 0o7777) for path in paths], ['0o640'],
    'their file has mode 0640')
isnt(letters('retry')[0], 0, 'sent again, they are refused again')
is_(letters('list')[1].count('\n'), 12, 'and wait')
helper = env.kill_helper()
env.allow('exited on signal 9')
wait_until(lambda: env.helper_pid() not in (None, helper), 10)
ok(trial.told(lambda sink: sink['dead_letters'] == 12, 10)
   .get('dead_letters') == 12, 'they outlive the helper')
kafka.ask('config', topic='small', name='max.message.bytes', value='100000')
wait_until(lambda: letters('retry')[0] == 0, 30)
is_(letters('list'), (0, ''), 'with a larger topic they go out')
ok(env.wait_drained(10), 'and nothing is pending')
found = [r.hit()['id'] for r in kafka.read('small')]
is_(set(found), {hit['id'] for hit in env.lines()}, 'Kafka has all')
is_(set(i for i in found if i in big), big, 'them, too')
env.finish()

done_testing()
