#!/usr/bin/python3
"""The oracle: what clients say they sent, against what a sink says it got.

    ok <= sink <= ok + unknown; hashes equal; no duplicate; each file in the
    order of its lanes; each line whole and JSON.

    oracle.py --journal FILE... --log FILE...   prints problems, exits 1

Journals are those of load.c.  A log is one file, or a list of files that are
one stream in that order (rotated ones first): order and duplicates are
judged over the stream.
"""

import argparse
import array
import json
import re
import struct
import sys
import zlib

RECORD = struct.Struct('<ccHIQII')      # load.c, load_record_t
ID = re.compile(r'([0-9a-f]{16})-([0-9a-f]{1,4})-([0-9a-f]{1,16})'
                r'(?:-([1-9][0-9]*))?')
SENT, OK, REFUSED, UNKNOWN = range(1, 5)
OUTCOMES = {b'+': OK, b'-': REFUSED, b'?': UNKNOWN}


class Journal:
    """What clients sent, from the journals of one or several loads."""

    def __init__(self, paths=()):
        self.outcomes = {}              # client -> bytearray by n
        self.hashes = {}                # client -> array by n
        self.statuses = {}              # status of refusals -> number
        for path in paths:
            self.read(path)

    def read(self, path):
        with open(path, 'rb') as file:
            data = file.read()
        # The load may have been killed: a cut record is no record.
        data = data[:len(data) - len(data) % RECORD.size]
        for kind, outcome, status, client, n, crc, _ in \
                RECORD.iter_unpack(data):
            if kind == b'I':
                self.sent(client, n, crc)
            else:
                self.outcome(client, n, OUTCOMES[outcome], status)

    def sent(self, client, n, crc):
        outcomes = self.outcomes.setdefault(client, bytearray())
        hashes = self.hashes.setdefault(client, array.array('L'))
        while len(outcomes) <= n:
            outcomes.append(0)
            hashes.append(0)
        outcomes[n] = SENT
        hashes[n] = crc

    def outcome(self, client, n, outcome, status=200):
        self.outcomes[client][n] = outcome
        if outcome == REFUSED:
            self.statuses[status] = self.statuses.get(status, 0) + 1

    def state(self, client, n):
        outcomes = self.outcomes.get(client, b'')
        return outcomes[n] if n < len(outcomes) else 0

    def number(self, *wanted):
        return sum(outcomes.count(state) for outcomes
                   in self.outcomes.values() for state in wanted)

    def ok(self):
        return self.number(OK)

    def unknown(self):
        return self.number(SENT, UNKNOWN)

    def refused(self):
        return self.number(REFUSED)


def crc_of(site, client, n, padding):
    return zlib.crc32(('%s:%d:%d:%s' % (site, client, n, padding)).encode())


class Report:
    """problems: sentences, the first few of each kind in full; counts: how
    many of each kind."""

    def __init__(self):
        self.problems = []
        self.counts = {}
        self.lines = 0
        self.ids = set()

    def problem(self, kind, text):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] <= 5:
            self.problems.append('%s: %s' % (kind, text))

    def __bool__(self):
        """True when all is well."""
        return not self.counts

    def __str__(self):
        return '\n'.join(['%d lines, problems: %s' % (self.lines,
                                                      self.counts or 'none')]
                         + self.problems)


class Oracle:
    """duplicates: how many second copies of a hit the sink's promise allows
    (0 for logs); other: ignore lines that are not a load's (no c, n, h)."""

    def __init__(self, journal, duplicates=0, other=False):
        self.journal = journal
        self.allowed = duplicates
        self.other = other
        self.report = Report()
        self.seen = {}                  # client -> bytearray by n
        self.doubles = 0

    def stream(self, paths):
        """One log: its files in order."""
        lanes = {}                      # (epoch, lane) -> last offset
        for path in [paths] if isinstance(paths, str) else paths:
            with open(path, 'rb') as file:
                for number, line in enumerate(file, 1):
                    self.line(line, '%s:%d' % (path, number), lanes)

    def line(self, line, where, lanes):
        """One line as it stands in a file, with its end."""
        report = self.report
        report.lines += 1
        if not line.endswith(b'\n'):
            report.problem('torn', '%s: no end of line: %r' % (where,
                                                               line[-200:]))
            return
        try:
            hit = json.loads(line)
            args = hit['args']
            found = ID.fullmatch(hit['id'])
        except (ValueError, KeyError, TypeError):
            report.problem('torn', '%s: %r' % (where, line[:200]))
            return
        if not found:
            report.problem('id', '%s: %s' % (where, hit['id']))
            return

        if hit['id'] in report.ids:
            self.double('%s: id %s' % (where, hit['id']))
            return
        report.ids.add(hit['id'])
        self.order(found, where, lanes)
        if not self.other or 'h' in args:
            self.hit(hit, args, where)

    def order(self, found, where, lanes):
        lane = found.group(1, 2)
        place = (int(found.group(3), 16), int(found.group(4) or 0))
        last = lanes.get(lane, (-1, 0))
        if place < last:
            self.report.problem('order', '%s: id %s stands after offset %x' % (
                where, found.group(0), last[0]))
        else:
            lanes[lane] = place

    def hit(self, hit, args, where):
        report = self.report
        try:
            client, n, crc = int(args['c']), int(args['n']), int(args['h'], 16)
        except (KeyError, ValueError):
            report.problem('invented', '%s: %s' % (where, args))
            return

        state = self.journal.state(client, n)
        if not state:
            report.problem('invented', '%s: client %d never sent %d' % (
                where, client, n))
            return
        if state == REFUSED:
            report.problem('refused', '%s: client %d was refused %d' % (
                where, client, n))

        site = args.get('site', hit.get('site'))
        if (crc != self.journal.hashes[client][n]
                or crc != crc_of(site, client, n, args.get('p', ''))
                or hit.get('site') != site):
            report.problem('hash', '%s: client %d, hit %d' % (where, client,
                                                              n))

        seen = self.seen.setdefault(client, bytearray())
        if len(seen) <= n:
            seen.extend(bytes(n + 1 - len(seen)))
        if seen[n]:
            self.double('%s: client %d, hit %d' % (where, client, n))
        seen[n] = 1

    def double(self, text):
        self.doubles += 1
        if self.doubles > self.allowed:
            self.report.problem('double', text)

    def finish(self):
        """Looks for what is missing; returns the report."""
        for client, outcomes in self.journal.outcomes.items():
            seen = self.seen.get(client, b'')
            for n, state in enumerate(outcomes):
                if state == OK and (n >= len(seen) or not seen[n]):
                    self.report.problem('lost', 'client %d, hit %d' % (client,
                                                                       n))
        return self.report


def check(journal, logs, duplicates=0, other=False):
    """journal: a Journal or paths of journals; logs: see above."""
    if not isinstance(journal, Journal):
        journal = Journal([journal] if isinstance(journal, str) else journal)
    oracle = Oracle(journal, duplicates, other)
    for log in logs:
        oracle.stream(log)
    return oracle.finish()


def check_followed(output, fragments=False):
    """What a tail -F printed (bytes): no id twice; no half lines unless
    fragments (tail's own race at a rotation).  Returns a Report."""
    report = Report()
    for line in output.splitlines(keepends=True):
        report.lines += 1
        try:
            ids = [json.loads(line)['id']]
        except (ValueError, KeyError, TypeError):
            ids = re.findall(r'"id":"([0-9a-f-]+)"', line.decode('latin-1'))
            if not fragments:
                report.problem('torn', repr(line[:200]))
        for one in ids:
            if one in report.ids:
                report.problem('double', 'id %s' % one)
            report.ids.add(one)
    return report


def check_books(status, journal=None):
    """One answer of beacon_status: the books balance; with the journal of
    all there was, accepted is what clients say.  Returns a list of
    sentences."""
    accepted = status['capture']['accepted']
    problems = []
    for name, sink in status['sinks'].items():
        total = sink['done'] + sink['lost'] + sink['pending']
        if accepted != total:
            problems.append('%s: accepted %d, done %d + lost %d + pending %d '
                            '= %d' % (name, accepted, sink['done'],
                                      sink['lost'], sink['pending'], total))
    if journal:
        least = journal.ok()
        if not least <= accepted <= least + journal.unknown():
            problems.append('accepted %d, clients: %d ok, %d unknown' % (
                accepted, least, journal.unknown()))
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--journal', nargs='+', required=True)
    parser.add_argument('--log', nargs='+', required=True)
    parser.add_argument('--duplicates', type=int, default=0)
    options = parser.parse_args()
    journal = Journal(options.journal)
    report = check(journal, options.log, options.duplicates)
    print('%d ok, %d unknown, %d refused' % (journal.ok(), journal.unknown(),
                                             journal.refused()))
    print(report)
    sys.exit(0 if report else 1)


if __name__ == '__main__':
    main()
