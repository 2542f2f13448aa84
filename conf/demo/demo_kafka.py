"""make demo KAFKA=1: an Apache Kafka of its own, from the jars in build/kafka,
and its console consumer, which shows a topic filling."""

import os
import re
import socket
import subprocess
import time

TOPIC = 'hits'
PARTITIONS = 3
RECORD = re.compile(r'Partition:(\d+)\tOffset:(\d+)\t([^\t]*)\t(\{.*\})$')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Kafka:
    def __init__(self, top, root):
        self.here = os.path.join(root, 'kafka')
        os.mkdir(self.here)
        self.port, self.controller = free_port(), free_port()
        self.brokers = '127.0.0.1:%d' % self.port
        self.java = ['java', '-Xmx512m', '-XX:+UseSerialGC',
                     '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData',
                     '-Djava.io.tmpdir=' + self.here,
                     '-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp',
                     os.path.join(top, 'build', 'kafka', 'libs', '*')]
        self.conf = os.path.join(self.here, 'server.properties')
        self.children = []
        self.position = 0
        self.records = 0
        source = os.path.join(top, 'conf', 'demo', 'kafka.properties')
        with open(source, encoding='utf-8') as file:
            text = file.read()
        for name, value in (('PORT', self.port), ('ROOT', root),
                            ('CONTROLLER', self.controller)):
            text = text.replace('@%s@' % name, str(value))
        with open(self.conf, 'w', encoding='utf-8') as file:
            file.write(text)

    def tool(self, *args):
        done = subprocess.run([*self.java, *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError('%s: %s' % (args[0], done.stdout.strip()))

    def spawn(self, name, *args):
        """In a session of its own: Ctrl-C is for the demo."""
        with open(os.path.join(self.here, name), 'wb') as out:
            self.children.append(subprocess.Popen(
                [*self.java, *args], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
                cwd=self.here))

    def start(self, stopping):
        self.tool('kafka.tools.StorageTool', 'format', '-t',
                  'YmVhY29uLWRlbW8ta2Fma2', '-c', self.conf)
        self.spawn('broker.out', 'kafka.Kafka', self.conf)
        deadline = time.monotonic() + 60
        while not self.listens():
            if (time.monotonic() > deadline or stopping
                    or self.children[0].poll() is not None):
                raise RuntimeError('the broker did not come up')
            time.sleep(0.1)
        self.tool('org.apache.kafka.tools.TopicCommand',
                  '--bootstrap-server', self.brokers, '--create', '--topic',
                  TOPIC, '--partitions', str(PARTITIONS))
        self.spawn('consumer.out',
                   'org.apache.kafka.tools.consumer.ConsoleConsumer',
                   '--bootstrap-server', self.brokers, '--topic', TOPIC,
                   '--from-beginning', '--property', 'print.partition=true',
                   '--property', 'print.offset=true', '--property',
                   'print.key=true')

    def listens(self):
        try:
            socket.create_connection(('127.0.0.1', self.port), 1).close()
            return True
        except OSError:
            return False

    def follow(self, say):
        """Shows what the consumer has printed since."""
        with open(os.path.join(self.here, 'consumer.out'), 'rb') as file:
            file.seek(self.position)
            data = file.read()
        data = data[:data.rfind(b'\n') + 1]
        self.position += len(data)
        for line in data.decode('utf-8', 'replace').splitlines():
            found = RECORD.search(line)
            if found:
                self.records += 1
                say('  kafka %s-%s @%s key %-12.12s %.60s…' % (
                    TOPIC, *found.groups()))
            elif 'rror' in line or 'xception' in line:
                say('  kafka: ' + line)

    def stop(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.kill()
            child.wait()
