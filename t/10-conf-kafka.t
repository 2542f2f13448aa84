#!/usr/bin/python3
"""What nginx -t says of beacon_kafka, its properties and its property file,
and of a spool on a disk that is none."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_conf import Conf                    # noqa: E402

conf = Conf('beacon_ring %%RING%% lane_size=1m;\nbeacon_helper %%HELPER%%;',
            'beacon_field country $http_x_country;')
KAFKA = 'beacon_kafka brokers=127.0.0.1:9092 topic=hits'
PROPERTY = 'beacon_kafka_property'
FILE = 'beacon_kafka_property_file'
SECRET = 'hunter2-hunter2'

os.chmod(conf.env.conf_file, 0o640)


def properties(text, mode=0o640, name='kafka.properties'):
    """A property file; its path."""
    path = os.path.join(conf.env.root, name)
    with open(path, 'w') as file:
        file.write(text)
    os.chmod(path, mode)
    if conf.env.user:
        import pwd
        os.chown(path, 0, pwd.getpwnam(conf.env.user).pw_gid)
    return path


# ---- what is well

said = conf.good(KAFKA + ';', 'the smallest beacon_kafka is accepted')
unlike(said, r'durable|\[warn\]', 'it is a durable sink')
path = properties('# ours\n\nlinger.ms = 20\n')
said = conf.good('''
    beacon_kafka brokers=127.0.0.1:9092,[::1]:9093,k3.example.com
        topic=hits.$beacon_site.%%Y%%m key=$beacon_field_country-$beacon_id
        window=500 max_topics=7;
    beacon_kafka_property compression.codec zstd;
    beacon_kafka_property_file kafka.properties;
    beacon_log %%LOG%%/x.jsonl;
    beacon_kafka_property client.id beacon;
    beacon_kafka brokers=other topic=hits;
    beacon_kafka brokers=third topic=hits name=third;
    beacon_kafka_property linger.ms 5;'''.replace('%%Y%%m', '%Y%m'),
    'so are all parameters, properties, and several clusters')
unlike(said, r'\[warn\]', 'without a warning')

# ---- beacon_kafka itself

for value, message in (
        ('topic=hits', '"brokers=" and "topic=" must be given'),
        ('brokers=a', '"brokers=" and "topic=" must be given'),
        ('brokers=a name=b', '"brokers=" and "topic=" must be given'),
        ('brokers= topic=hits', 'empty parameter "brokers="'),
        ('brokers=a topic=', 'empty parameter "topic="'),
        ('brokers=a topic=hits key=', 'empty parameter "key="'),
        ('brokers=a:b topic=hits', '"a:b" is no broker'),
        ('brokers=a:1,,b topic=hits', '"" is no broker'),
        ('brokers=a:70000 topic=hits', '"a:70000" is no broker'),
        ('brokers=PLAINTEXT://a:1 topic=hits', 'is no broker'),
        ('brokers=a topic=$beacon_nope', 'unknown variable'),
        ('brokers=a topic=$beacon_field_nope',
         'no "beacon_field" of that name'),
        ('brokers=a topic=hits key=$beacon_field_nope',
         'no "beacon_field" of that name'),
        ('brokers=a topic=hits key=$uri', 'unknown variable'),
        ('brokers=a topic=hits/a', 'is made of A-Z'),
        ('brokers=a topic=hits/$beacon_site', 'is made of A-Z'),
        ('brokers=a topic=..', 'no topic may be named'),
        ('brokers=a topic=' + 'x' * 250, '250 bytes, more than 249'),
        ('brokers=a topic=${beacon_site}' + 'x' * 186,
         'can grow to 250 bytes'),
        ('brokers=a topic=hits window=0', 'invalid number in "window=0"'),
        ('brokers=a topic=hits window=x', 'invalid number'),
        ('brokers=a topic=hits max_topics=0', 'invalid number'),
        ('brokers=a topic=hits topic=hits', 'duplicate parameter'),
        ('brokers=a topic=hits name=../x', 'invalid name'),
        ('brokers=a topic=hits nome=x', 'invalid parameter "nome="')):
    conf.bad('beacon_kafka ' + value + ';', message, 'beacon_kafka',
             'beacon_kafka refuses "%s"' % value[:60])
conf.good('beacon_kafka brokers=a topic=' + 'x' * 249 + ';',
          'a topic of 249 bytes is taken')
said = conf.bad('beacon_kafka brokers=a topic=b sasl.password=%s;' % SECRET,
                'invalid parameter', 'beacon_kafka',
                'a property among the parameters is refused')
unlike(said, SECRET, 'without its value')
conf.bad('beacon_log %%LOG%%/x name=kafka;\n' + KAFKA + ';',
         'is named "kafka" too', 'brokers', 'two sinks of one name')
conf.bad(KAFKA + ';\n' + KAFKA + ' name=kafka window=2;',
         'is named "kafka" too', 'window=2', 'nor two of kafka')

# ---- properties

for directive in (PROPERTY + ' linger.ms 5;', FILE + ' x;'):
    conf.bad('beacon_log %%LOG%%/x;\n' + directive + '\n' + KAFKA + ';',
             'no "beacon_kafka" above', directive,
             '%s belongs to the one above it' % directive.split()[0])
OWNED = ('bootstrap.servers', 'metadata.broker.list', 'acks',
         'request.required.acks', 'enable.idempotence', 'message.timeout.ms',
         'delivery.timeout.ms', 'partitioner', 'queue.buffering.max.messages',
         'topic.acks', 'topic.partitioner', 'test.mock.num.brokers')
for name in OWNED:
    conf.bad('%s;\n%s %s 1;' % (KAFKA, PROPERTY, name),
             'property "%s" is Beacon\'s own' % name, PROPERTY,
             '%s is not to be set' % name)
path = properties('\n'.join('%s=%s' % (name, SECRET) for name in OWNED))
for number, name in enumerate(OWNED, 1):
    said = conf.bad('%s;\n%s %s;' % (KAFKA, FILE, path),
                    'property "%s" is Beacon\'s own' % name, None,
                    '%s is not to be set in the file either' % name,
                    where='%s:%d' % (path, number))
unlike(said, SECRET, 'the value is not told')
conf.bad('%s;\n%s linger.ms 5;\n%s linger.ms 6;' % (KAFKA, PROPERTY, PROPERTY),
         r'property "linger.ms" stands in .*nginx.conf:\d+, too', 'ms 6',
         'a property that stands twice is refused')
conf.bad('%s;\n%s linger.ms 5;\n%s queue.buffering.max.ms 6;'
         % (KAFKA, PROPERTY, PROPERTY),
         r'"queue.buffering.max.ms" stands in .*nginx.conf:\d+, too', 'ms 6',
         'also by another of its names')
path = properties('linger.ms=5\n\nretries=9\nlinger.ms=%s\n' % SECRET)
said = conf.bad('%s;\n%s %s;' % (KAFKA, FILE, path),
                r'property "linger.ms" stands in %s:1, too' % re.escape(path),
                None, 'so is one that stands twice in the file',
                where=path + ':4')
unlike(said, SECRET, 'without its value')
path = properties('compression.type=zstd\n')
for text in ('%s;\n%s compression.codec lz4;\n%s %s;'
             % (KAFKA, PROPERTY, FILE, path),
             '%s;\n%s %s;\n%s compression.codec lz4;'
             % (KAFKA, FILE, path, PROPERTY)):
    conf.bad(text, r'"compression.type" stands in .*nginx.conf:\d+, too', None,
             'and one of the file that nginx.conf has, too',
             where=path + ':1')
conf.good('%s;\n%s linger.ms 5;\n%s name=b;\n%s linger.ms 6;'
          % (KAFKA, PROPERTY, KAFKA, PROPERTY), 'two clusters may have it')
conf.bad('%s;\n%s linger.ms;' % (KAFKA, PROPERTY), 'number of arguments',
         PROPERTY, 'a property has a value')

# ---- what librdkafka says itself

conf.bad('%s;\n%s ling.ms 5;' % (KAFKA, PROPERTY),
         'No such configuration property: "ling.ms"', PROPERTY,
         'a property that librdkafka does not know')
conf.bad('%s;\n%s linger.ms soon;' % (KAFKA, PROPERTY), 'Invalid value',
         PROPERTY, 'a value that is none')
conf.bad('%s;\n%s compression.codec rar;' % (KAFKA, PROPERTY),
         'Invalid value "rar"', PROPERTY, 'one of none of the words')
conf.bad('%s;\n%s retries 0;' % (KAFKA, PROPERTY), 'retries', KAFKA,
         'one that contradicts what is promised')

# ---- what it takes, and we cannot live with

conf.bad('%s;\n%s queue.buffering.max.kbytes 500;' % (KAFKA, PROPERTY),
         r'"queue.buffering.max.kbytes" \(500\) has no room for a record of '
         r'"message.max.bytes" \(1000000\)', KAFKA,
         'a queue that a record may not fit in')
conf.good('%s;\n%s queue.buffering.max.kbytes 500;\n%s message.max.bytes '
          '512000;' % (KAFKA, PROPERTY, PROPERTY), 'one that it does')
for name in ('linger.ms', 'queue.buffering.max.ms'):
    conf.bad('%s;\n%s %s 5001;' % (KAFKA, PROPERTY, name),
             r'"linger.ms" \(5001\) is more than 5000', KAFKA,
             'records that wait so long that they seem to be stuck')
conf.bad('%s;\n%s retry.backoff.ms 5001;' % (KAFKA, PROPERTY),
         r'"retry.backoff.ms" \(5001\) is more than 5000', KAFKA,
         'so is that after a failure')
conf.bad('%s;\n%s reconnect.backoff.max.ms 5001;' % (KAFKA, PROPERTY),
         r'"reconnect.backoff.max.ms" \(5001\) is more than 5000', KAFKA,
         'so is a broker that is left alone for as long')
conf.bad('%s;\n%s %s;' % (KAFKA, FILE, properties(
    'reconnect.backoff.max.ms=180000\n')), r'\(180000\) is more than 5000',
         KAFKA, 'also by the file')
for name in ('linger.ms', 'retry.backoff.ms', 'reconnect.backoff.max.ms'):
    conf.good('%s;\n%s %s 5000;' % (KAFKA, PROPERTY, name),
              'but not 5 s of %s' % name)
conf.good('%s;\n%s socket.timeout.ms 300000;' % (KAFKA, PROPERTY),
          'nor five minutes for a request')

# ---- the property file's

path = properties('# 1\nlinger.ms=5\nling.ms=5\n')
conf.bad('%s;\n%s %s;' % (KAFKA, FILE, path), 'No such configuration', None,
         'the file is asked about, too', where=path + ':3')
path = properties('security.protocol=ssl\nssl.key.pem=%s\n' % SECRET)
said = conf.bad('%s;\n%s %s;' % (KAFKA, FILE, path), '[Kk]ey|pem', KAFKA,
                'a key that is none')
unlike(said, SECRET, 'is not told')

# ---- the file

path = properties('linger.ms=5\n%s\n' % SECRET)
said = conf.bad('%s;\n%s %s;' % (KAFKA, FILE, path), 'no NAME=VALUE', None,
                'a line that is no property is named', where=path + ':2')
unlike(said, SECRET, 'but not shown')
conf.bad('%s;\n%s /nowhere/x;' % (KAFKA, FILE), 'No such file', FILE,
         'a file that is not there is refused')
conf.bad('%s;\n%s %%%%ROOT%%%%;' % (KAFKA, FILE), 'is no file', FILE,
         'so is a directory')
conf.bad('%s;\n%s %s;\n%s %s;#2' % (KAFKA, FILE, path, FILE, path),
         'duplicate, the first stands in', '#2', 'and a second file')
path = properties('sasl.password=%s\n' % SECRET, 0o600)
if conf.env.user:
    conf.bad('%s;\n%s %s;' % (KAFKA, FILE, path),
             'the worker user may not read', FILE,
             'so is one that the worker user may not read')
else:
    skip('not root')
path = properties('security.protocol=sasl_plaintext\n'
                  'sasl.mechanism=PLAIN\nsasl.username=u\n'
                  'sasl.password=%s\n' % SECRET, 0o644)
said = conf.good('%s;\n%s %s;' % (KAFKA, FILE, path),
                 'one that everybody may read is taken')
like(said, r'\[warn\].*"sasl.password", and everybody may read it.*%s:%d'
     % (conf.env.conf_file, conf.line_of(FILE)), 'with a warning')
unlike(said, SECRET, 'that does not tell the secret')
os.chmod(path, 0o640)
said = conf.good('%s;\n%s %s;' % (KAFKA, FILE, path),
                 'with mode 0640 it is as it should be')
unlike(said, r'\[warn\]', 'and taken in silence')

inline = '%s;\n%s ssl.key.password %s;' % (KAFKA, PROPERTY, SECRET)
said = conf.good(inline, 'a secret in nginx.conf is taken')
unlike(said, SECRET, 'and not told')
unlike(said, r'\[warn\]', 'in silence where not everybody reads it')
os.chmod(conf.env.conf_file, 0o644)
said = conf.good(inline, 'also where everybody reads nginx.conf')
like(said, r'\[warn\].*use "beacon_kafka_property_file".*%s:%d'
     % (conf.env.conf_file, conf.line_of(PROPERTY)), 'with a warning')
unlike(said, SECRET, 'that does not tell the secret')

# ---- the spool's disk

if os.geteuid() == 0:
    disk = os.path.join(conf.env.root, 'disk')
    os.mkdir(disk)
    MOUNT = ['mount', '-t', 'tmpfs', '-o', 'size=100m,mode=755', 'none', disk]
if os.geteuid() == 0 and subprocess.run(MOUNT, check=False).returncode == 0:
    spool = KAFKA + ';\nbeacon_spool %s/it;' % disk
    conf.good(spool, 'a spool on a disk with room is accepted')
    with open(disk + '/big', 'wb') as file:
        file.write(bytes(60 << 20))
    conf.bad(spool, r'the file system of "%s/it" is full: 40M .* 35M'
             % disk, 'beacon_spool', 'on a full one it is refused')
    conf.bad('%s size=60m;' % spool[:-1], 'is full', 'beacon_spool',
             'also if it wants less than a segment')
    conf.good('%s size=30m;' % spool[:-1], 'unless there is room for that')
    for name in ('journal.0', 'kafka.dead', 'kafka.parked'):
        with open(os.path.join(disk, 'it', name), 'wb') as file:
            file.write(b'x')
        conf.good(spool, 'one that is full of %s is accepted' % name)
        os.unlink(file.name)
    subprocess.run(['mount', '-o', 'remount,ro', disk], check=True)
    conf.bad(spool, 'is on a file system that is read-only', 'beacon_spool',
             'on a read-only one it is refused')
    conf.bad(KAFKA + ';\nbeacon_spool %s/new;' % disk,
             'is on a file system that is read-only', 'beacon_spool',
             'also where its directory is yet to be made')
    subprocess.run(['umount', disk], check=True)
else:
    skip('no mount here', 9)

done_testing()
