#!/usr/bin/python3
"""The oracle is tested before anything is judged by it: each kind of damage
to a log must be found."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
import oracle                                   # noqa: E402

EPOCH = '9f3c0a1122334455'


def line(number, client, n, lane=0, site='shop', padding='abc'):
    """A hit's line as beacond would write it."""
    crc = oracle.crc_of(site, client, n, padding)
    return (json.dumps({
        'v': 1, 'id': '%s-%x-%x' % (EPOCH, lane, number * 512),
        'time': '2026-11-21T22:56:01.204Z', 'edge': 'web7', 'site': site,
        'method': 'GET', 'path': '/px.gif',
        'args': {'site': site, 'c': str(client), 'n': str(n), 'p': padding,
                 'h': '%08x' % crc}}, separators=(',', ':')) + '\n').encode()


def journal():
    """Two clients, 50 hits each; 48 is refused, 49 unknown."""
    book = oracle.Journal()
    for client in (1, 2):
        for n in range(50):
            book.sent(client, n, oracle.crc_of('shop', client, n, 'abc'))
            if n < 48:
                book.outcome(client, n, oracle.OK)
        book.outcome(client, 48, oracle.REFUSED, 503)
    return book


def log():
    return [line(n, client, n, lane=client)
            for n in range(48) for client in (1, 2)]


def judge(lines, **options):
    with tempfile.NamedTemporaryFile(prefix='beacon-test.') as file:
        file.write(b''.join(lines))
        file.flush()
        return oracle.check(journal(), [file.name], **options)


def finds(kind, lines, name):
    report = judge(lines)
    if not is_(list(report.counts), [kind], name):
        diag(report)


ok(judge(log()), 'a log that holds what was acknowledged passes')
ok(judge(log() + [line(49, 1, 49, lane=1)]), 'an unknown hit may be there')
finds('lost', log()[:-1], 'a deleted last line is found')
finds('lost', log()[1:], 'a deleted first line is found')
finds('lost', log()[:20] + log()[21:], 'a deleted line is found')

twice = judge(log()[:21] + [log()[20]] + log()[21:])
is_(twice.counts, {'double': 1}, 'a line that stands twice is found')
finds('double', log() + [log()[10]],
      'a line that stands again much later is found')
again = log()
again.append(line(60, 1, 3, lane=1))
finds('double', again, 'a hit logged again under another id is found')
ok(judge(log()[:21] + [log()[20]] + log()[21:], duplicates=1),
   'what a promise allows passes')

flipped = log()
flipped[7] = flipped[7].replace(b'"p":"abc"', b'"p":"abb"')
finds('hash', flipped, 'a flipped bit in a value is found')
flipped = log()
flipped[7] = flipped[7].replace(b'"site":"shop"', b'"site":"shoq"', 1)
finds('hash', flipped, 'a flipped bit in the site is found')
flipped = log()
flipped[7] = flipped[7].replace(b'"args":{', b'"args":[')
finds_both = judge(flipped)
is_(sorted(finds_both.counts), ['lost', 'torn'],
    'a flipped bit in the syntax is found')

swapped = log()
swapped[10], swapped[12] = swapped[12], swapped[10]
finds('order', swapped, 'two swapped lines of one lane are found')
swapped = log()
swapped[10], swapped[11] = swapped[11], swapped[10]
ok(judge(swapped), 'lanes among each other have no order')

finds('invented', log() + [line(70, 1, 70, lane=1)],
      'a hit that nobody sent is found')
finds('invented', log() + [line(70, 9, 0, lane=1)],
      'a hit of a client that does not exist is found')
finds('refused', log() + [line(70, 1, 48, lane=1)],
      'a hit that was refused is found')
torn = log()
torn[30] = torn[30][:60] + torn[31]
is_(sorted(judge(torn[:31] + torn[32:]).counts), ['lost', 'torn'],
    'a torn line is found')
cut = judge(log()[:-1] + [log()[-1][:-1]])
is_(sorted(cut.counts), ['lost', 'torn'], 'a missing end of line is found')

# Rotated files are one stream.
with tempfile.TemporaryDirectory(prefix='beacon-test.') as directory:
    paths = [os.path.join(directory, name) for name in ('log.1', 'log')]
    for path, part in zip(paths, (log()[:40], log()[40:])):
        with open(path, 'wb') as file:
            file.write(b''.join(part))
    ok(oracle.check(journal(), [paths]), 'rotated files are one stream')
    is_(list(oracle.check(journal(), [paths[::-1]]).counts), ['order'],
        'files in the wrong order are found')

    # Followers.
    output = b''.join(log())
    ok(oracle.check_followed(output), 'a follower that saw each line passes')
    ok(oracle.check_followed(b''.join(log()[50:])),
       'a follower may miss lines')
    is_(list(oracle.check_followed(output + log()[5]).counts), ['double'],
        'a line that a follower saw twice is found')
    is_(sorted(oracle.check_followed(output + log()[5][:60]).counts),
        ['double', 'torn'], 'half a line that it saw again is found')

# Books.
books = {'capture': {'accepted': 96},
         'sinks': {'log': {'done': 90, 'lost': 2, 'pending': 4}}}
is_(oracle.check_books(books, journal()), [], 'books that balance pass')
books['sinks']['log']['pending'] = 3
is_(len(oracle.check_books(books)), 1, 'books that do not balance are found')
books['sinks']['log']['pending'] = 4
books['capture']['accepted'] = 95
is_(len(oracle.check_books(books, journal())), 2,
    'fewer accepted hits than acknowledged ones are found')


# The load generator and the oracle agree, through a server that logs.

class Server(threading.Thread):
    """Answers by what stands in script for the hit's number: '+' 200 and a
    line, '-' 503, '?' a line and then a reset, '0' a close without a line,
    '!' no answer.  '2' answers 200, but half of it."""

    def __init__(self, script):
        super().__init__(daemon=True)
        self.script = script
        self.lines = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(peer,),
                             daemon=True).start()

    def serve(self, peer):
        with peer, peer.makefile('rb') as file:
            while True:
                top = file.readline()
                if not top:
                    return
                length = 0
                for header in iter(file.readline, b'\r\n'):
                    if header.lower().startswith(b'content-length:'):
                        length = int(header.split(b':')[1])
                query = top.split()[1].decode().partition('?')[2]
                if length:
                    query = file.read(length).decode()
                args = dict(urllib.parse.parse_qsl(query, True))
                if not self.answer(peer, args):
                    return

    def answer(self, peer, args):
        what = self.script(int(args['n']))
        if what in '+?2':
            with self.lock:
                number = len(self.lines)
                self.lines.append(line(number, int(args['c']),
                                       int(args['n']), site=args['site'],
                                       padding=args['p']))
        if what == '+':
            peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi')
        elif what == '2':
            peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh')
        elif what == '-':
            peer.sendall(b'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
        elif what == '!':
            peer.recv(1)
        return what in '+-'


def run_load(script, *args):
    """(summary, journal, the server's lines, the oracle's report)"""
    server = Server(script)
    with tempfile.TemporaryDirectory(prefix='beacon-test.') as directory:
        path = os.path.join(directory, 'journal')
        done = tool('load', '-p', server.port, '-j', path, *args,
                    stderr=subprocess.DEVNULL)
        log_path = os.path.join(directory, 'log')
        with open(log_path, 'wb') as file:
            file.writelines(server.lines)
        book = oracle.Journal([path])
        return (json.loads(done.stdout), book, server.lines,
                oracle.check(book, [log_path]))


summary, book, lines, report = run_load(lambda n: '+', '-c', 4, '-n', 400,
                                        '-b', 300, '-S', 3)
is_((summary['ok'], book.ok(), len(lines)), (400, 400, 400),
    'all hits of the load generator are acknowledged and logged')
ok(report, 'the oracle finds their hashes right') or diag(report)

summary, book, lines, report = run_load(lambda n: '+', '-m', 'POST', '-n', 50)
ok(report and summary['ok'] == 50, 'so it does for forms') or diag(report)

summary, book, lines, report = run_load(
    lambda n: '+-?02'[n % 5], '-c', 2, '-n', 200)
ok(report, 'refused and unknown hits are told apart') or diag(report)
is_(book.number(oracle.OK, oracle.REFUSED, oracle.UNKNOWN), 200,
    'each hit has an outcome')
is_((book.ok(), book.refused(), book.unknown()),
    (summary['ok'], summary['refused'], summary['unknown']),
    'summary and journal agree')
ok(abs(book.ok() - 80) <= 4 and abs(book.refused() - 40) <= 2,
   'a 2xx status line alone acknowledges, a 503 refuses')
ok(summary['retried'] > 0 and summary['failed'] ==
   summary['refused'] + summary['unknown'] - summary['retried'],
   'a used connection that closes without an answer is tried again')

summary, book, lines, report = run_load(lambda n: '+!'[n % 2], '-c', 1, '-n',
                                        4, '-w', 0.2)
is_((summary['ok'], summary['unknown'], summary['retried']), (2, 2, 0),
    'no answer in time is unknown and never retried')

done_testing()
