"""A real Apache Kafka for tests: kafka_node's, which done_testing() stops.

    from beacon_kafka import Cluster
    kafka = Cluster().start()
    kafka.create('hits', partitions=3)
    ... brokers=%s ... % kafka.plain
    kafka.count('hits'); kafka.read()
    done_testing()                  # stops it, too
"""

import os
import shutil
import tempfile

import beacon_test as t
from beacon_env import Env
from kafka_node import HOME, Authority, Nodes

__all__ = ['Authority', 'Cluster']


class Cluster(Nodes):
    """nodes: how many; settings: as those of Nodes."""

    def __init__(self, nodes=1, **settings):
        for name in ('libs.done', 'eye.done'):
            if not os.path.exists(os.path.join(HOME, name)):
                t.bail_out('build/kafka/%s: run make deps-test' % name)
        self.finished = False
        directory = tempfile.mkdtemp(prefix='beacon-kafka.')
        os.chmod(directory, 0o755)
        Env.guard.add(directory)
        super().__init__(directory, t.free_port, nodes, **settings)
        Env.registry.append(self)

    # ---- what beacon_test does with an environment

    def finish(self):
        """After all environments, which may still have something to say."""
        if not self.finished:
            for env in self._environments():
                env.finish()
            self.stop()
            self.finished = True
            self.remove()

    @staticmethod
    def _environments():
        return [env for env in Env.registry if isinstance(env, Env)]

    def discard(self):
        for child in self.children():
            if child.poll() is None:
                child.kill()
                child.wait()

    def remove(self):
        self.finished = True
        if os.environ.get('BEACON_KEEP'):
            t.diag('kept: %s' % self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def show_error_log(self, lines=20):
        for node in self.nodes:
            t.diag(node.said(lines))
