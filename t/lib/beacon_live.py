"""What a live store holds, by build/live_cli, and whether that can be.

    store = Store(ring)
    store.problems(sent)        # {site: [(lane, number), ...]} or {site: n}
"""

import json
import subprocess

from beacon_test import tool


class Site:
    def __init__(self, row):
        self.start, self.last = row['start'], row['last']
        self.taken = row['hits']
        self.hits = []                  # (sequence, hit), as stored

    @property
    def told(self):
        """Hits and gaps."""
        return self.last - self.start

    @property
    def missing(self):
        return self.told - self.taken

    def order(self, name, number):
        """What is wrong with them, as sentences."""
        bad, seen, lanes, seq = [], set(), {}, 0
        for at, hit in self.hits:
            lane, _, offset = hit['id'].rpartition('-')
            offset = int(offset, 16)
            if hit['site'] != name:
                bad.append('%s: a hit of %s' % (name, hit['site']))
            if at <= seq:
                bad.append('%s: sequence %d after %d' % (name, at, seq))
            if hit['id'] in seen:
                bad.append('%s: %s twice' % (name, hit['id']))
            if offset < lanes.get(lane, -1):
                bad.append('%s: %s out of order' % (name, hit['id']))
            seen.add(hit['id'])
            if number and hit['args'][number] in seen:
                bad.append('%s: number %s twice' % (name,
                                                    hit['args'][number]))
            seen.add(hit['args'].get(number))
            lanes[lane], seq = offset, at
        return bad[:5]


class Store:
    """One look at it; there is False where there is none."""

    def __init__(self, ring, site=None):
        done = tool('live_cli', ring, *([site] if site else []), check=False,
                    stderr=subprocess.DEVNULL, errors='replace')
        self.there = done.returncode == 0
        self.sites = {}
        for line in done.stdout.split('\n')[:-1]:    # not at U+2028
            row = json.loads(line)
            if 'site' in row:
                last = self.sites[row['site']] = Site(row)
            else:
                last.hits.append((row['seq'], row['hit']))
        self.sites.pop('_overflow', None)

    def hits(self):
        return sum(len(site.hits) for site in self.sites.values())

    def missing(self):
        return sum(site.missing for site in self.sites.values())

    def problems(self, sent, number='n', unknown=0):
        """What is wrong, as sentences.  sent: how many of each site; hits are
        numbered by an argument.  Each stands there once, of its own site, in
        the order of its lane; gaps and hits are what was sent, less what
        nobody knows the site of."""
        bad = []
        lack = 0
        for name, site in self.sites.items():
            if name not in sent:
                bad.append('%s was never sent' % name)
                continue
            bad += site.order(name, number)
            if len(site.hits) > site.taken:
                bad.append('%s: %d hits, %d taken' % (name, len(site.hits),
                                                      site.taken))
            if site.told > sent[name]:
                bad.append('%s: %d hits and %d missing, of %d sent' % (
                    name, site.taken, site.missing, sent[name]))
            lack += sent[name] - site.told
        lack += sum(n for name, n in sent.items() if name not in self.sites)
        if lack > unknown:
            bad.append('%d hits are neither there nor told, %d of them known'
                       % (lack, unknown))
        return bad


def wait_told(ring, sent, seconds=20, unknown=0):
    """Until hits and gaps are what was sent; the store."""
    from beacon_test import wait_until

    def told():
        store = Store(ring)
        lack = sum(sent.values()) - sum(
            site.told for site in store.sites.values())
        return store if store.there and lack <= unknown else None
    return wait_until(told, seconds, 0.1) or Store(ring)
