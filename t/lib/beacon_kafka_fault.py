"""What tests of the Kafka sink share: an environment whose helper writes a log
and to Kafka, and the judgement of what arrived there.

    from beacon_kafka_fault import KafkaTrial, Mock, check_kafka
"""

import json
import os
import random
import subprocess
import time

import oracle

import beacon_test as t
from beacon_fault import Trial
from beacon_load import journals
from beacon_rig import Rig


def kafka_conf(brokers, topic='hits', properties=None, file=None, **options):
    """beacon_kafka and what stands below it."""
    text = 'beacon_kafka brokers=%s topic=%s%s;\n' % (brokers, topic, ''.join(
        ' %s=%s' % item for item in options.items()))
    for item in (properties or {}).items():
        text += 'beacon_kafka_property %s %s;\n' % item
    if file:
        text += 'beacon_kafka_property_file %s;\n' % file
    return text


def check_kafka(kafka, env, loads, *topics, duplicates=0, other=False,
                name='every acknowledged hit is in Kafka, unchanged, in '
                     'order'):
    """The oracle on these topics (default: all) as one test: ok <= Kafka <=
    ok + unknown, the first copy of each in the order of its lane in each
    partition, at most so many doubles, by id.  Returns the report, with
    .doubles."""
    journal = journals(*(loads if isinstance(loads, (list, tuple))
                         else [loads]))
    judge = oracle.Oracle(journal, duplicates, other)
    for path in kafka.files(*topics, directory=env.root):
        judge.stream(path)
    report = judge.finish()
    report.doubles = judge.doubles
    if not t.ok(report, name):
        t.diag('%d ok, %d unknown, %d doubles' % (
            journal.ok(), journal.unknown(), judge.doubles))
        t.diag(report)
    t.tally('acknowledged hits for Kafka', journal.ok())
    t.tally('lost on the way to Kafka', report.counts.get('lost', 0))
    t.tally('doubled in Kafka, within the window', judge.doubles)
    return report


def checkpoint(rig):
    with open(os.path.join(rig.ring, 'kafka.checkpoint'),
              encoding='utf-8') as file:
        return json.load(file)


def waiting(rig):
    """How many parked hits and dead letters the checkpoint has."""
    try:
        return checkpoint(rig)['waiting']
    except (OSError, ValueError, KeyError):
        return None


def settles(rig, seconds=60, **wanted):
    """Waits until the Kafka sink's books have these numbers, and its
    checkpoint, a tenth of a second later, what waits."""
    def settled():
        sink = rig.sink('kafka')
        return (all(sink.get(name) == value for name, value in wanted.items())
                and waiting(rig) == sink['parked_hits'] + sink['dead_letters'])
    good = t.wait_until(settled, seconds, 0.05)
    if not good:
        t.diag('%s, not %s' % (rig.sink('kafka'), wanted))
    return good


def modest(rig, size, what):
    """One test: the helper takes no more memory than README says of so many
    bytes a record, and a tenth."""
    window = sum(sink.get('window', 0) for sink in rig.sinks)
    with open('/proc/%d/statm' % rig.helper.pid, encoding='ascii') as file:
        fields = file.read().split()
    used = (int(fields[1]) - int(fields[2])) * 4096     # not shared memory
    most = 1.1 * ((11 << 20) + window * (-(-size // 512) * 512 + 922))
    if os.path.basename(t.BUILD) != 'build':
        t.skip('a sanitizer keeps what is freed')
    elif not t.ok(used <= most, '%s: memory is what is configured' % what):
        t.diag('%d of %d KiB' % (used // 1024, most // 1024))


def ends(rig):
    t.is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()


class KafkaTrial(Trial):
    """A Trial that writes to a Kafka, too.  conf: what kafka_conf() gives.

    finish() judges log, books, and the topic "hits"."""

    def __init__(self, kafka, conf, load=None, **options):
        self.kafka = kafka
        self.window = 10000
        options.setdefault('http', '')
        options['http'] += conf
        super().__init__(load={'rate': 2000, **(load or {})}, **options)

    def sink(self, name='kafka'):
        """One sink of the books; {} where there is no answer."""
        try:
            return self.env.status()['sinks'].get(name, {})
        except (OSError, t.Closed, ValueError):
            return {}

    def told(self, good, seconds=10, name='kafka'):
        """Waits until the sink's status is as good() wants it; the status."""
        found = [{}]

        def told():
            found[0] = self.sink(name)
            try:
                return good(found[0])
            except KeyError:            # a helper that has just begun
                return False
        t.wait_until(told, seconds, 0.05)
        return found[0]

    def moves(self, hits=200, seconds=30, name='kafka'):
        """Waits until so many more hits are done; False: they are not."""
        start = self.sink(name).get('done', 0)
        return bool(t.wait_until(
            lambda: self.sink(name).get('done', 0) >= start + hits, seconds,
            0.05))

    def behind(self, hits=2000, seconds=30, name='kafka'):
        """Waits until so many hits are pending."""
        return bool(t.wait_until(
            lambda: self.sink(name).get('pending', 0) >= hits, seconds, 0.05))

    def finish(self, what, duplicates=0, topics=('hits',), drained=60,
               **options):
        status = super().finish(what, drained=drained, **options)
        check_kafka(self.kafka, self.env, self.loads, *topics,
                    duplicates=duplicates,
                    name='%s: every acknowledged hit is in Kafka, at most %d '
                         'twice' % (what, duplicates))
        for name, sink in status['sinks'].items():
            if not t.ok(sink['lost'] == 0, '%s: %s has lost nothing'
                        % (what, name)):
                t.diag(sink)
        return status


class KafkaRig(Rig):
    """A Rig with a log (unless log is False) and a Kafka sink, to a topic of
    its own of two partitions."""

    topics = 0
    WINDOW = 500

    def __init__(self, kafka, brokers=None, create=True, spool=True,
                 log=True, properties=None, **options):
        super().__init__(path='all.log', spool=spool, lane='2m', **options)
        self.kafka = kafka
        KafkaRig.topics += 1
        self.topic = 'rig-%d' % KafkaRig.topics
        self.everything = [self.topic]
        if create:
            self.kafka.create(self.topic, partitions=2)
        self.sinks = [
            {'type': 'log', 'name': 'log', 'at': 'test:1',
             'path': os.path.join(self.logs, self.path)},
            {'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
             'brokers': brokers or kafka.plain, 'topic': self.topic,
             'window': self.WINDOW, 'max_topics': 8,
             'key': '$beacon_arg_n',    # a double goes where the first went
             'properties': [{'name': name, 'value': value, 'at': 'test:6'}
                            for name, value in (properties or {}).items()]}]
        if not log:
            del self.sinks[0]
        self.deaths = 0

    def die(self):
        self.kill()
        self.deaths += 1

    def lane(self, record):
        """What order is kept within."""
        return (record.topic, record.partition,
                record.headers['beacon-id'].rsplit('-', 1)[0])

    def arrived(self):
        """What is in Kafka: (numbers of hits, doubles by id, first copies out
        of order)."""
        ids, numbers, last = set(), set(), {}
        doubles = disorder = 0
        for record in self.kafka.read(*self.everything):
            name = record.headers['beacon-id']
            if name in ids:
                doubles += 1
                continue
            ids.add(name)
            n = int(record.hit()['args']['n'])
            numbers.add(n)
            lane = self.lane(record)
            disorder += n < last.get(lane, -1)
            last[lane] = n
        return numbers, doubles, disorder

    def judge(self, what, seconds=60, ordered=True, gone=(), more=0):
        """Everything is in the log once, and in Kafka at least once.  gone:
        hits that may be missing there; more: windows that may be doubled
        besides those of deaths."""
        t.ok(self.pushed(60), '%s: nobody waits' % what)
        names = [sink['name'] for sink in self.sinks]
        if not t.ok(all(self.wait(seconds=seconds, name=name)
                        for name in names), '%s: all is done' % what):
            t.diag(self.books())
            self.show_errors()
        if 'log' in names:
            self.check('%s: the log has each hit once' % what)
        numbers, doubles, disorder = self.arrived()
        t.is_(len(set(range(self.next)) - numbers - set(gone)), 0,
              '%s: none is missing in Kafka' % what)
        if ordered:
            t.is_(disorder, 0, '%s: the first copies are in order' % what)
        if not t.ok(doubles <= (self.deaths + more) * self.WINDOW,
                    '%s: at most the window is doubled for a death' % what):
            t.diag('%d doubles, %d deaths' % (doubles, self.deaths))
        t.tally('kills of the helper with Kafka', self.deaths)
        t.tally('doubled in Kafka', doubles)
        self.end(what)

    def end(self, what):
        t.is_(self.stop(), 0, '%s: the helper ends well' % what)
        for topic in self.everything:
            self.kafka.delete(topic)
        self.remove()


def dies_during(kafka, what, begin, end, prepare=None, during=None,
                rig=None, sites=1, judge=None, **options):
    """The helper dies between begin() and end(), which get the rig, and all
    arrives in spite of it; during() is called while hits come in, before each
    death.  options: KafkaRig's; judge: judge()'s."""
    rig = rig or KafkaRig(kafka, **options)
    rig.start()
    if prepare:
        prepare(rig)
    rig.push(1000, rate=20000, sites=sites)
    if options.get('create', True):
        rig.wait(name='kafka')
    begin(rig)
    for n in range(t.count(3, 30)):
        rig.push(3000, wait=False, rate=30000, sites=sites)
        if during:
            during(rig)
        time.sleep(random.uniform(0.2, 0.8))
        rig.die()
        rig.start()
    rig.pushed()
    time.sleep(0.3)
    rig.die()
    end(rig)
    rig.start()
    rig.judge(what, **(judge or {}))


class Mock:
    """build/mock_kafka, for errors that a real broker will not give."""

    OUT_OF_ORDER, TOO_LARGE, NOT_LEADER, TIMED_OUT, TOO_FEW = 45, 10, 6, 7, 19
    AUTHORIZATION = 31
    PRODUCE, INIT = 0, 22

    def __init__(self, brokers=1):
        self.child = subprocess.Popen(
            [os.path.join(t.BUILD, 'mock_kafka'), str(brokers)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.brokers = self.child.stdout.readline().strip()

    def ask(self, *words):
        self.child.stdin.write(' '.join(map(str, words)) + '\n')
        self.child.stdin.flush()
        answer = self.child.stdout.readline().strip()
        if answer != 'ok':
            raise RuntimeError('%s: %s' % (words, answer))

    def values(self, topic, path):
        """Every value of a topic, as bytes."""
        self.ask('read', topic, path)
        with open(path, 'rb') as file:
            return file.read().splitlines()

    def stop(self):
        self.child.stdin.close()
        self.child.wait(20)
        self.child.stdout.close()
