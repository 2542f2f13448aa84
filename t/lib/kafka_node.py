"""Apache Kafka from its jars (t/lib/kafka_jars): brokers, and an eye on them
that shares no code with what is tested.  Knows nothing of tests; those use
beacon_kafka.

Each node has five listeners on loopback: PLAIN; PROXIED, which is advertised
as the port of a proxy (cluster.proxies[0].delay = 0.1); SASL (PLAIN and
SCRAM-SHA-256); TLS, by an authority of its own; and the controller's.  On the
first two and TLS everybody is a super user; ACLs are for SASL users.
"""

import base64
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from beacon_proc import wanted
from beacon_proxy import Proxy

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
HOME = os.path.join(TOP, 'build', 'kafka')
LIBS = os.path.join(HOME, 'libs', '*')
# The classes that a broker loads, parsed: a start takes a quarter less.
ARCHIVE = os.path.join(HOME, 'classes.jsa')
JAVA = ['java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1',
        '-XX:-UsePerfData', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']

PROPERTIES = '''\
process.roles=broker,controller
node.id=%(id)d
controller.quorum.voters=%(voters)s
controller.listener.names=CONTROLLER
listeners=%(listeners)s
advertised.listeners=%(advertised)s
inter.broker.listener.name=PLAIN
listener.security.protocol.map=PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,\
SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required \
user_beacon="right" user_other="right";
listener.name.sasl.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location=%(pem)s
authorizer.class.name=\
org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
log.dirs=%(logs)s
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
broker.session.timeout.ms=%(session)d
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=%(election)d
controller.quorum.fetch.timeout.ms=%(fetch)d
replica.lag.time.max.ms=%(session)d
delete.topic.enable=true
file.delete.delay.ms=100
log.segment.delete.delay.ms=100
log.cleaner.enable=false
num.io.threads=2
num.network.threads=2
background.threads=2
socket.send.buffer.bytes=1048576
socket.receive.buffer.bytes=1048576
%(more)s
'''


def wait_until(condition, seconds, interval):
    """Polls until condition() is true; one that raises OSError is not."""
    start = time.monotonic()
    while True:
        try:
            value = condition()
        except OSError:
            value = None
        if value or time.monotonic() > start + seconds * wanted():
            return value
        time.sleep(interval)


class Authority:
    """A certification authority of a test's own, and certificates."""

    def __init__(self, directory):
        self.dir = directory
        self.ca = os.path.join(directory, 'ca.pem')
        self.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
                     'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
                     '-keyout', directory + '/ca.key', '-out', self.ca,
                     '-subj', '/CN=beacon test authority')
        os.chmod(self.ca, 0o644)

    def openssl(self, *args):
        subprocess.run(['openssl', *args], check=True, cwd=self.dir,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def server(self, name):
        """Key and chain of a server on loopback; the PEM's path."""
        base = os.path.join(self.dir, name)
        with open(base + '.ext', 'w', encoding='ascii') as file:
            file.write('subjectAltName=IP:127.0.0.1,DNS:localhost\n')
        self.openssl('req', '-newkey', 'ec', '-pkeyopt',
                     'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                     base + '.key', '-out', base + '.csr', '-subj',
                     '/CN=' + name)
        self.openssl('x509', '-req', '-in', base + '.csr', '-CA', self.ca,
                     '-CAkey', self.dir + '/ca.key', '-CAcreateserial',
                     '-days', '30', '-extfile', base + '.ext', '-out',
                     base + '.crt')
        with open(base + '.pem', 'wb') as pem:
            for part in (base + '.key', base + '.crt', self.ca):
                with open(part, 'rb') as file:
                    pem.write(file.read())
        return base + '.pem'


class Node:
    """One broker, which is a controller, too."""

    NAMES = ('PLAIN', 'PROXIED', 'SASL', 'TLS', 'CONTROLLER')

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.id = number
        self.ports = {name: cluster.free_port()
                      for name in self.NAMES}
        self.dir = os.path.join(cluster.dir, 'node%d' % number)
        self.conf = os.path.join(self.dir, 'server.properties')
        self.log = os.path.join(self.dir, 'out')
        self.child = None
        self.proxy = Proxy(cluster.free_port(), self.ports['PROXIED'])
        os.mkdir(self.dir)

    def configure(self):
        cluster = self.cluster
        advertised = dict(self.ports, PROXIED=self.proxy.port)
        del advertised['CONTROLLER']
        values = {
            'id': self.id, 'voters': ','.join(
                '%d@127.0.0.1:%d' % (node.id, node.ports['CONTROLLER'])
                for node in cluster.nodes),
            'listeners': self.listeners(self.ports),
            'advertised': self.listeners(advertised),
            'pem': cluster.authority.server('node%d' % self.id),
            'logs': os.path.join(self.dir, 'logs'),
            # brokers that have a part of a CPU are not to be taken for dead
            'session': 3000 * wanted(), 'fetch': 1000 * wanted(),
            'election': 500 * wanted(),
            'more': '\n'.join('%s=%s' % item
                              for item in cluster.settings.items())}
        with open(self.conf, 'w', encoding='utf-8') as file:
            file.write(PROPERTIES % values)
        self.format()

    @staticmethod
    def listeners(ports):
        return ','.join('%s://127.0.0.1:%d' % item for item in ports.items())

    def format(self):
        """What StorageTool makes is kept, as it takes 2 s."""
        cached = os.path.join(HOME, 'formatted-%d' % self.id)
        logs = os.path.join(self.dir, 'logs')
        if not os.path.isdir(cached):
            subprocess.run(
                [*JAVA, '-cp', LIBS, 'kafka.tools.StorageTool', 'format',
                 '-t', 'YmVhY29uLXRlc3Qta2Fma2', '-c', self.conf],
                check=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL)
            try:
                shutil.copytree(logs, cached + '.%d' % os.getpid())
                os.rename(cached + '.%d' % os.getpid(), cached)
            except OSError:             # another test was first
                shutil.rmtree(cached + '.%d' % os.getpid(), True)
        else:
            shutil.copytree(cached, logs)

    def start(self, wait=True, options=None):
        if options is None:
            options = ['-XX:SharedArchiveFile=' + ARCHIVE,
                       '-Xlog:disable'] if os.path.exists(ARCHIVE) else []
        with open(self.log, 'ab') as out:
            self.child = subprocess.Popen(
                [*JAVA, *options, '-Djava.io.tmpdir=' + self.dir, '-Xmx512m',
                 '-cp', LIBS, 'kafka.Kafka', self.conf],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.dir)
        if wait:
            self.wait()
        return self

    def wait(self, seconds=90):
        """Until it answers; RuntimeError with what it says when it does
        not."""
        if not wait_until(self.answers, seconds, 0.05):
            raise RuntimeError('the broker does not start: %s' % self.said())

    def said(self, lines=20):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return ''.join(file.readlines()[-lines:])

    def answers(self):
        """Does it say which requests it knows?"""
        request = struct.pack('>hhih', 18, 0, 1, 3) + b'eye'
        with socket.create_connection(('127.0.0.1', self.ports['PLAIN']),
                                      1) as sock:
            sock.settimeout(2)
            sock.sendall(struct.pack('>i', len(request)) + request)
            return len(sock.recv(8)) > 4

    def kill(self, signum=signal.SIGKILL):
        """Signals it, and waits for its end if that ends it."""
        if self.child and self.child.poll() is None:
            self.child.send_signal(signum)
            if signum in (signal.SIGKILL, signal.SIGTERM):
                if signum == signal.SIGTERM:
                    self.child.send_signal(signal.SIGCONT)
                self.child.wait(60)

    def pause(self):
        self.kill(signal.SIGSTOP)

    def go_on(self):
        self.kill(signal.SIGCONT)

    def stop(self):
        """As an administrator does: leadership goes elsewhere first."""
        try:
            self.kill(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()


class Nodes:
    """directory: of the cluster's own; free_port(): a port; number: how many
    nodes; settings: more lines of server.properties, dots as double
    underscores (message__max__bytes=10000)."""

    def __init__(self, directory, free_port, number=1, **settings):
        self.dir = directory
        self.free_port = free_port
        self.settings = {name.replace('__', '.'): value
                         for name, value in settings.items()}
        self.authority = Authority(self.dir)
        self.ca = self.authority.ca
        self.eye = None
        self.eye_lock = threading.Lock()
        self.nodes = []
        self.nodes += [Node(self, n + 1) for n in range(number)]
        self.proxies = [node.proxy for node in self.nodes]
        for node in self.nodes:
            node.configure()

    def _brokers(self, name):
        return ','.join('127.0.0.1:%d' % node.ports[name]
                        for node in self.nodes)

    @property
    def plain(self):
        """What brokers= is to be."""
        return self._brokers('PLAIN')

    @property
    def proxied(self):
        return ','.join('127.0.0.1:%d' % proxy.port for proxy in self.proxies)

    @property
    def sasl(self):
        return self._brokers('SASL')

    @property
    def tls(self):
        return self._brokers('TLS')

    # ---- running

    def start(self):
        for node in self.nodes:
            node.start(wait=False)
        self.start_eye()
        for node in self.nodes:
            node.wait()
        return self

    def start_eye(self):
        self.eye = subprocess.Popen(
            [*JAVA, '-Djava.io.tmpdir=' + self.dir, '-Xmx256m', '-cp',
             os.path.join(HOME, 'eye') + ':' + LIBS, 'Eye', self.plain,
             self.dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=open(os.path.join(self.dir, 'eye'), 'ab'), text=True)

    def stop(self):
        for node in self.nodes:
            node.go_on()
            node.kill()
        for proxy in self.proxies:
            proxy.stop()
        if self.eye:
            self.eye.stdin.close()
            self.eye.kill()
            self.eye.wait()
            self.eye.stdout.close()

    def children(self):
        return [child for child in
                [node.child for node in self.nodes] + [self.eye] if child]

    # ---- the eye

    def ask(self, op, **command):
        """One command of t/kafka/Eye.java; RuntimeError when it fails."""
        with self.eye_lock:
            self.eye.stdin.write(json.dumps(dict(command, op=op)) + '\n')
            self.eye.stdin.flush()
            answer = json.loads(self.eye.stdout.readline() or
                                '{"error":"the eye is gone"}')
        if 'error' in answer:
            raise RuntimeError('%s: %s' % (op, answer['error']))
        return answer['ok']

    def create(self, topic, partitions=1, replication=None, **configs):
        """configs: as Cluster's settings.  Where there is no answer in time,
        it may be there all the same."""
        command = {'topic': topic, 'partitions': partitions,
                   'replication': replication or min(3, len(self.nodes)),
                   'configs': {name.replace('__', '.'): str(value)
                               for name, value in configs.items()}}
        late = 0
        while True:
            try:
                self.ask('create', **command)
                return
            except RuntimeError as error:
                if late and 'TopicExists' in str(error):
                    return
                if late == 5 or 'TimeoutException' not in str(error):
                    raise
                late += 1

    def delete(self, topic):
        self.ask('delete', topic=topic)

    def count(self, topic=None):
        """Records of a topic, or of all."""
        counts = self.ask('count')
        return counts.get(topic, 0) if topic else sum(counts.values())

    def wait_count(self, number, topic=None, seconds=60):
        """Waits until there are so many; how many there are."""
        found = [0]

        def enough():
            try:
                found[0] = self.count(topic)
            except RuntimeError:
                return False
            return found[0] >= number
        wait_until(enough, seconds, 0.1)
        return found[0]

    def records(self, *topics):
        """Each record, as a Record, in the order of its partition."""
        path = os.path.join(self.dir, 'read')
        self.ask('read', file=path, topics=topics)
        with open(path, 'rb') as file:
            yield from map(Record, file)

    def read(self, *topics):
        """All of them, as a list."""
        return list(self.records(*topics))

    def files(self, *topics, directory):
        """Each partition's values as a file of lines, for the oracle."""
        found = {}
        for record in self.records(*topics):
            key = record.topic, record.partition
            if key not in found:
                found[key] = open(os.path.join(
                    directory, 'kafka.%s.%d' % key), 'wb')
            found[key].write(record.value + b'\n')
        for file in found.values():
            file.close()
        return [file.name for _, file in sorted(found.items())]


def free_port():
    """A port that nobody has now."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def archive():
    """Makes ARCHIVE, of what a broker has loaded when it ends."""
    with tempfile.TemporaryDirectory(prefix='beacon-kafka.') as directory:
        nodes = Nodes(directory, free_port)
        path = os.path.join(directory, 'classes.jsa')
        try:
            nodes.nodes[0].start(False, ['-XX:ArchiveClassesAtExit=' + path])
            nodes.start_eye()
            nodes.nodes[0].wait()
            nodes.create('hits')
            nodes.ask('produce', topic='hits', keys=['a'])
            nodes.count('hits')
            nodes.nodes[0].stop()
        finally:
            nodes.stop()
        shutil.copyfile(path, ARCHIVE + '.new')
        os.rename(ARCHIVE + '.new', ARCHIVE)


class Record:
    """One record, as t/kafka/Eye.java writes it."""

    def __init__(self, line):
        head, value = line.rstrip(b'\n').split(b'\t', 1)
        head = json.loads(head)
        self.topic, self.partition, self.offset = \
            head['t'], head['p'], head['o']
        self.timestamp, self.key, self.headers = \
            head['ts'], head['k'], head['h']
        self.value = base64.b64decode(value) if 'nl' in head else value

    def hit(self):
        return json.loads(self.value)
