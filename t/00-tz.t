#!/usr/bin/python3
"""Time zones agree with Python's zoneinfo, over decades."""

import os
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *

ZONES = ['UTC', 'Europe/Athens', 'Europe/Berlin', 'Europe/Dublin',
         'Europe/London', 'Africa/Casablanca', 'Africa/Johannesburg',
         'America/New_York', 'America/Sao_Paulo', 'America/Caracas',
         'America/Argentina/Buenos_Aires', 'America/Nuuk', 'America/Santiago',
         'America/St_Johns', 'Asia/Istanbul', 'Asia/Jerusalem', 'Asia/Kolkata',
         'Asia/Gaza', 'Asia/Kathmandu', 'Asia/Tokyo', 'Asia/Tehran',
         'Australia/Lord_Howe', 'Australia/Sydney', 'Pacific/Apia',
         'Pacific/Chatham', 'Pacific/Kiritimati', 'Antarctica/Troll',
         'Etc/GMT+12', 'Etc/GMT-14', 'EST5EDT']
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def dump(name, times):
    """For each time: its broken-down fields, and until when they may hold."""
    out = subprocess.run(
        [os.path.join(BUILD, 'unit', 'tz_test'), '--dump', name],
        input='\n'.join(map(str, times)), stdout=subprocess.PIPE, text=True,
        check=True).stdout
    return [tuple(map(int, line.split())) for line in out.splitlines()]


def oracle(zone, seconds):
    t = (EPOCH + timedelta(seconds=seconds)).astimezone(zone)
    return (t.year, t.month, t.day, t.hour, t.minute, t.second,
            t.isoweekday() % 7, t.timetuple().tm_yday - 1,
            int(t.utcoffset().total_seconds()), int(bool(t.dst())))


def around(rows, start, end):
    """The instants at which ours may change, a second before, and after."""
    found = sorted({row[10] for row in rows if start <= row[10] <= end})
    return [t + d for t in found for d in (-1, 0, 1)]


seed()
start = int(datetime(1971, 1, 1, tzinfo=timezone.utc).timestamp())
end = int(datetime(2105, 1, 1, tzinfo=timezone.utc).timestamp())

for name in ZONES:
    zone = ZoneInfo(name)
    times = sorted(random.randrange(start, end) for _ in range(5000))
    rows = dump(name, times)
    times += around(rows, start, end)
    rows = dump(name, times)
    bad = [(t, row, oracle(zone, t)) for t, row in zip(times, rows)
           if row[:9] != oracle(zone, t)[:9]]
    if not ok(not bad and len(rows) == len(times),
              '%s is what Python says, from 1971 to 2105' % name):
        diag('%d differ, first %r' % (len(bad), bad[:1]))

    # until: the offset does not change before it
    held = [(t, row[10]) for t, row in zip(times, rows)
            if row[10] <= t or row[8] != oracle(
                zone, min(row[10], end) - 1)[8]]
    is_(held[:1], [], '%s holds until it says' % name)

done_testing()
