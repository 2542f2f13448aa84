"""Processes, as /proc shows them.  The test process is the reaper of all that
descends from it, daemons too, so nothing that it started can hide."""

import ctypes
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000                       # waitpid(2): threads, too

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                        ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def become_reaper():
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl(PR_SET_CHILD_SUBREAPER)')


def stat(pid):
    """(state letter, parent) or None when there is no such process."""
    try:
        with open('/proc/%d/stat' % pid, 'rb') as file:
            text = file.read()
    except OSError:
        return None
    fields = text.rsplit(b')', 1)[1].split()
    return fields[0].decode(), int(fields[1])


def alive(pid):
    """A zombie is not alive."""
    found = stat(pid)
    return found is not None and found[0] not in 'ZX'


def cmdline(pid):
    try:
        with open('/proc/%d/cmdline' % pid, 'rb') as file:
            return file.read().replace(b'\0', b' ').decode('latin-1').strip()
    except OSError:
        return ''


def exe(pid):
    try:
        return os.readlink('/proc/%d/exe' % pid)
    except OSError:
        return ''


def wanted():
    """How many processes want each CPU, 1 to 8: what takes a second on a
    machine of its own may take as many here."""
    return max(1, min(8, os.getloadavg()[0] / len(os.sched_getaffinity(0))))


def files(pid):
    """Paths of what a process has open."""
    top = '/proc/%d/fd' % pid
    found = []
    try:
        names = os.listdir(top)
    except OSError:
        return found
    for name in names:
        try:
            found.append(os.readlink(os.path.join(top, name)))
        except OSError:
            pass                        # closed meanwhile
    return found


def pids():
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def children(parent):
    """Living children, oldest pid first."""
    found = []
    for pid in sorted(pids()):
        entry = stat(pid)
        if entry and entry[1] == parent and entry[0] not in 'ZX':
            found.append(pid)
    return found


def descendants(root=None):
    """Living processes that descend from root (default: this process)."""
    parents = {}
    for pid in pids():
        entry = stat(pid)
        if entry and entry[0] not in 'ZX':
            parents[pid] = entry[1]
    family = {root or os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items()
                if parent in family and pid not in family}
        family |= more
        grown = bool(more)
    family.discard(root or os.getpid())
    return sorted(family)


def reap(known=()):
    """Buries zombies that were given to us; those in known are left to their
    Popen."""
    me = os.getpid()
    for pid in pids():
        entry = stat(pid)
        if entry == ('Z', me) and pid not in known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def send(pid, signum):
    """kill(2); False if the process is gone."""
    try:
        os.kill(pid, signum)
        return True
    except ProcessLookupError:
        return False


def wait_gone(pid, seconds=10):
    """Polls until the process is gone or a zombie."""
    start = time.monotonic()
    while alive(pid):
        if time.monotonic() > start + seconds * wanted():
            return False
        time.sleep(0.01)
    return True


def thread(pid, name):
    """The thread of a process that bears this name, None if there is none."""
    try:
        for tid in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/comm' % (pid, tid), 'rb') as file:
                if file.read().strip() == name.encode():
                    return int(tid)
    except OSError:
        pass
    return None


def hold(tid):
    """One thread stands still from here on, up to let(), as if others had all
    processors; False where that is not allowed."""
    if libc.ptrace(PTRACE_SEIZE, tid, None, None) != 0:
        return False
    libc.ptrace(PTRACE_INTERRUPT, tid, None, None)
    os.waitpid(tid, WALL)
    return True


def let(tid):
    """It goes on."""
    libc.ptrace(PTRACE_DETACH, tid, None, None)


def kill_all(victims):
    """SIGKILL, also to stopped ones; waits until they are gone."""
    for pid in victims:
        send(pid, signal.SIGKILL)
    for pid in victims:
        wait_gone(pid, 5)
