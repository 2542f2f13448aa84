"""A wall clock for some processes alone (build/shift_clock.so)."""

import os
import struct

import beacon_test as t

NAMES = ('LD_PRELOAD', 'SHIFT_CLOCK')
# for nginx to give it to its workers and to the helper
MAIN = ''.join('env %s;\n' % name for name in NAMES)


class Clock:
    """A file that says how far off the clocks of its users are.

        clock = Clock(env.root)
        with clock:
            env.start()         # what is started in there goes by it
        clock.step(-3600)
    """

    def __init__(self, directory):
        self.path = os.path.join(directory, 'clock')
        with open(self.path, 'wb') as file:
            file.write(struct.pack('q', 0))
        os.chmod(self.path, 0o644)

    def step(self, seconds):
        # in place: it is mapped
        with open(self.path, 'r+b', buffering=0) as file:
            file.write(struct.pack('q', seconds))

    def __enter__(self):
        os.environ.update({
            'LD_PRELOAD': os.path.join(t.BUILD, 'shift_clock.so'),
            'SHIFT_CLOCK': self.path})
        return self

    def __exit__(self, *exc):
        for name in NAMES:
            del os.environ[name]
