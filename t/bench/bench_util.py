"""What the rows of `make bench` share: directories, processes, callgrind, and
one request that all of them send."""

import atexit
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
BEACOND = os.path.join(BUILD, "beacond")
MODULE = os.path.join(BUILD, "ngx_http_beacon_module.so")
TOOLS = os.path.join(BUILD, "bench")
LOAD = os.path.join(BUILD, "load")
NGINX = "/usr/sbin/nginx"

QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")

# Ten browser headers; ten arguments, the site last, escapes in six runs.  Its
# strings (path, query, host, address, agent, referer) are about 550 bytes, its
# record 650, its line 780.
QUERY = (
    "e=pageview"
    "&url=https%3A%2F%2Fshop.example%2Fc%2F165%2Fmobile-phones%2Fp%2F91823"
    "&title=%CE%9A%CE%B9%CE%BD%CE%B7%CF%84%CE%AC+mobile-phones"
    "+at+the+best+shop+in+the+whole+of+the+town"
    "&ref=https%3A%2F%2Fnews.example.org%2Fa-long-read-about-phones"
    "&r=1920x1080&lang=el-GR&vid=8f1c2d7e9b3a4c5d6e7f8091a2b3c4d5"
    "&t=1795301460123&rnd=0.84131&site=shop")
TARGET = "/px.gif?" + QUERY
HEADERS = (
    ("Host", "px.example.com"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
                   "(KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"),
    ("Accept", "image/avif,image/webp,image/*,*/*;q=0.8"),
    ("Accept-Language", "el-GR,el;q=0.9,en;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Referer", "https://shop.example/c/165/mobile-phones"),
    ("Connection", "keep-alive"),
    ("Sec-Fetch-Dest", "image"),
    ("Sec-Fetch-Mode", "no-cors"),
    ("Sec-Fetch-Site", "cross-site"),
)
REQUEST = ("GET %s HTTP/1.1\r\n" % TARGET
           + "".join("%s: %s\r\n" % h for h in HEADERS) + "\r\n").encode()

# What a pixel's access_log says today: the record's facts, without the id.
LOG_FORMAT = (
    "log_format facts escape=json "
    "'{\"time\":\"$time_iso8601\",\"edge\":\"$hostname\","
    "\"site\":\"$arg_site\",\"ip\":\"$remote_addr\","
    "\"method\":\"$request_method\",\"host\":\"$host\",\"path\":\"$uri\","
    "\"query\":\"$args\",\"referer\":\"$http_referer\","
    "\"user_agent\":\"$http_user_agent\"}';")


class Missing(Exception):
    """A part that a row needs is not there; the row says so."""


def need(*files):
    for name in files:
        if not os.path.exists(name):
            raise Missing("%s is not built" % os.path.relpath(name, TOP))


def note(text):
    sys.stderr.write("bench: %s\n" % text)
    sys.stderr.flush()


class Place:
    """A directory on tmpfs for rings, one on disk for logs, and the processes
    started here; all gone at the end, whatever happened."""

    def __init__(self):
        self.shm = tempfile.mkdtemp(prefix="beacon-bench.", dir="/dev/shm")
        disk = os.environ.get("BENCH_DIR", BUILD)
        os.makedirs(disk, exist_ok=True)
        self.disk = tempfile.mkdtemp(prefix="beacon-bench.", dir=disk)
        self.processes = []
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def start(self, argv, **kw):
        with open(os.path.join(self.disk, "output"), "ab") as out:
            kw.setdefault("stdout", out)
            kw.setdefault("stderr", out)
            proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **kw)
        self.processes.append(proc)
        return proc

    def output(self):
        with open(os.path.join(self.disk, "output"), "rb") as f:
            return f.read().decode("utf-8", "replace")

    def stop(self, proc, sig=signal.SIGTERM, seconds=20, again=False):
        """again: nginx in one process loses a signal that comes just before
        its epoll_wait(), which valgrind makes likely."""
        end = time.monotonic() + seconds
        if proc.poll() is None:
            proc.send_signal(sig)
        while proc.poll() is None:
            try:
                proc.wait(0.5)
            except subprocess.TimeoutExpired:
                if time.monotonic() > end:
                    proc.kill()
                elif again:
                    proc.send_signal(sig)
        if proc in self.processes:
            self.processes.remove(proc)
        return proc.returncode

    def close(self):
        for proc in list(self.processes):
            if proc.poll() is None:
                proc.send_signal(signal.SIGCONT)
            self.stop(proc, seconds=10)
        for path in (self.shm, self.disk):
            shutil.rmtree(path, ignore_errors=True)
        atexit.unregister(self.close)


def until(what, test, seconds=30.0, every=0.005, proc=None):
    """Polls test() until it is true; the value, or an error naming what."""
    end = time.monotonic() + seconds
    while True:
        value = test()
        if value:
            return value
        if proc is not None and proc.poll() is not None:
            raise RuntimeError("%s: the process ended (%s)"
                               % (what, proc.returncode))
        if time.monotonic() > end:
            raise RuntimeError("%s: not within %gs" % (what, seconds))
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def run(argv, **kw):
    """A tool's standard output as text; its failure with what it said."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    if done.returncode != 0:
        raise RuntimeError("%s: exit %d: %s" % (
            " ".join(argv), done.returncode,
            done.stderr.decode("utf-8", "replace").strip()[-500:]))
    return done.stdout.decode("utf-8", "replace")


CALLGRIND = ("valgrind", "--tool=callgrind", "-q", "--dump-instr=no",
             "--collect-systime=no", "--compress-strings=yes")


def callgrind_argv(out, argv):
    if shutil.which("valgrind") is None:
        raise Missing("valgrind is not installed")
    return list(CALLGRIND) + ["--callgrind-out-file=" + out] + list(argv)


def callgrind_total(out):
    """User-space instructions of all threads of a finished run."""
    with open(out) as f:
        for line in f:
            if line.startswith(("summary:", "totals:")):
                return int(line.split()[1])
    raise RuntimeError("%s holds no summary" % out)


class Client:
    """One keep-alive connection that asks for the same thing again."""

    def __init__(self, port, request=REQUEST):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.left = b""

    def ask(self):
        """Sends, reads one answer with a Content-Length; its status."""
        self.sock.sendall(self.request)
        data = self.left
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                raise RuntimeError("connection closed")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        want = int(length.group(1)) if length else 0
        while len(body) < want:
            body += self.sock.recv(65536)
        self.left = body[want:]
        return int(head.split(None, 2)[1])

    def close(self):
        self.sock.close()


def cpu_ns(pid):
    """CPU time of all threads of a process, user and system."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
            total += int(f.read().split()[0])
    return total


def rss_bytes(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def median(values):
    return statistics.median(values)


def spread(values):
    """For the notes: the quartiles."""
    low, _, high = statistics.quantiles(values, n=4)
    return "%.3g to %.3g" % (low, high)
