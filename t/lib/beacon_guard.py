"""A guardian beside each test: when the test is killed before it could clean
up, the guardian does.  It holds the read end of a pipe whose other end only
the test has: a line "dir PATH" for each directory, "done" at a good end; end
of file without it means that the test is dead."""

import os
import shutil
import signal
import subprocess

import beacon_proc as proc


class Guard:
    def __init__(self):
        reading, self.pipe = os.pipe()          # not inherited over exec
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            try:
                _watch(reading)
            finally:
                os._exit(0)
        os.close(reading)

    def add(self, directory):
        os.write(self.pipe, b'dir %s\n' % os.fsencode(directory))

    def done(self):
        """The test has cleaned up by itself."""
        if self.pid:
            os.write(self.pipe, b'done\n')
            os.close(self.pipe)
            os.waitpid(self.pid, 0)
            self.pid = 0


def _watch(reading):
    os.setsid()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    null = os.open('/dev/null', os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)               # prove waits for whoever has these
    directories = []
    with os.fdopen(reading, 'rb') as lines:
        for line in lines:
            if line == b'done\n':
                return
            directories.append(os.fsdecode(line[4:-1]))
    for _ in range(3):                  # a supervisor may start one more
        proc.kill_all(_family(directories))
    clean(directories)


def _family(directories):
    """Processes that name one of the directories, or run from it, and their
    descendants."""
    found = []
    for pid in proc.pids():
        where = ' '.join((proc.cmdline(pid), proc.exe(pid)))
        if (any(directory in where for directory in directories)
                and pid != os.getpid()):
            found += [pid, *proc.descendants(pid)]
    return found


def clean(directories):
    """Unmounts what is mounted on them or below, removes them."""
    with open('/proc/self/mounts', encoding='utf-8') as file:
        mounts = [line.split()[1] for line in file]
    for point in reversed(mounts):
        if any((point + '/').startswith(directory + '/')
               for directory in directories):
            subprocess.run(['umount', '-l', point], check=False)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
