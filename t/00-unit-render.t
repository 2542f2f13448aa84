#!/usr/bin/python3
"""Lines against an independent decoder, byte for byte: generated hits, most of
them malformed, and request targets as vendors' tags build them.  The tool
renders each with every variant this CPU runs, strings and line ending where
memory does."""

import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
import decoder                                  # noqa: E402
from decoder import DATA, FORM, NONE, OTHER, Hit  # noqa: E402

FIELDS = ['country', 'tz', 'empty', 'last']
FLAGS = ['bot', 'internal', 'x']
HITS = 24000
DENSE = 6000

PIECES = [b'&', b'&', b'=', b'=', b'+', b'%', b'%4', b'%zz', b'%%', b'%0',
          b'%41', b'%26', b'%3d', b'%3D', b'%25', b'%2B', b'%00', b'%01',
          b'%0a', b'%1f', b'%22', b'%5c', b'%7f', b'%ff', b'%c3%a9', b'%c3',
          b'%a9', b'%e2%80%a8', b'%E2%80%A9', b'%f0%9f%98%80', b'%f0%9f%98',
          b'%ed%a0%80', b'%ef%bf%bd', b'%ef%bb%bf', b'%c0%80', b'%f4%90',
          b'%e0%80', b'%f0%80', b'%C3\xa9', b'\xc3%a9', b'\xc3', b'\xc3\xa9',
          b'\xa9', b'\xff', b'\xe2\x80', b'\xe2\x80\xa8', b'\xf0\x9f\x98\x80',
          b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xef\xbb\xbf', b'\0', b'\x01',
          b'\t', b'\n', b'\r', b'\x1f', b'"', b'\\', b'\x7f', b'/', b'?', b'#',
          b'a', b'b', b'ab', b'url', b'title', b'x' * 13, b'y' * 31,
          b'z' * 32, b'w' * 33, b'q' * 64, b'r' * 70]
MACROS = [b'${', b'${A_B.c:d}', b'[timestamp]', b'[', b']', b'[ts]', b'[ORD]',
          b'%%CACHEBUSTER%%', b'%%ZONE%%', b'%25%25CB%25%25', b'%25%25',
          b'{{', b'}}', b'{{a b}}', b'%7B%7Bx%7D%7D', b'%24%7BX%7D',
          b'%5Bstamp%5D', b'}', b'$', b'_', b'Z9', b'%%', b'%22', b';', b'-',
          b'=', b'&', b'a', b'{', b'%0a']
PLAIN = [b'a', b'b', b'key', b'Mozilla/5.0 (X11; Linux x86_64)', b' ', b'-',
         b'https://shop.example/c/165', b'0123456789abcdef', b'.']
JSON = [b'{', b'}', b'[', b']', b',', b':', b'"a"', b'"b"', b'"\\u0061"', b'1',
        b'-0.5e+3', b'01', b'true', b'null', b'nul', b' ', b'\n', b'\r\n',
        b'"\\ud83d\\ude00"', b'"\\ud83d"', b'"\xc3\xa9"', b'"\xff"', b'"',
        b'"a\nb"', b'{"k":', b'"\\u00e9"', b'"\\/"']


def some(rng, pieces, most):
    return b''.join(rng.choices(pieces, k=rng.randrange(most)))


def value(rng):
    """A JSON value that is mostly valid."""
    kind = rng.randrange(9)
    if kind < 2:
        keys = rng.choices(['a', 'b', 'c', 'é', 'k"', '\U0001f600'],
                           k=rng.randrange(4))
        return '{%s}' % ',\n'.join(
            '%s:%s' % (json.dumps(key, ensure_ascii=rng.random() < .5),
                       value(rng)) for key in keys)
    if kind == 2:
        return '[%s]' % ' , '.join(value(rng) for _ in range(rng.randrange(4)))
    if kind == 3:
        levels = rng.randrange(28, 36)
        return '[' * levels + ']' * levels
    return rng.choice(['1', '-1.5E-7', 'true', 'false', 'null', '"x"', '""',
                       '"\\ud83d\\ude00"', '"\\ud83d"', '0', '-', '1.',
                       '"\\b\\f\\n\\r\\t\\/"'])


def text(rng):
    if rng.random() < .5:
        return b''
    return some(rng, PIECES if rng.random() < .15 else PLAIN, 12)


def query(rng):
    if rng.random() < .3:
        return b'&'.join(
            rng.choice([b'a', b'b', b'url', b'k%d' % rng.randrange(400)])
            + b'=' + some(rng, PLAIN + PIECES[:8], 4)
            for _ in range(rng.randrange(rng.choice([4, 30, 600]))))
    if rng.random() < .2:
        return some(rng, MACROS + PIECES[:4], rng.choice([3, 10, 40]))
    return some(rng, PIECES, rng.choice([3, 10, 40, 120]))


def dense(rng):
    """So much that is rare that it is decoded in bulk."""
    pieces = rng.choice([PIECES, PIECES[2:], PIECES[8:],
                         [bytes([c]) for c in range(128, 256)],
                         [b'%%%02x' % c for c in range(256)],
                         rng.choices(PIECES, k=rng.randrange(1, 6))])
    return b'\xff%' * 130 + some(rng, pieces, rng.choice([20, 200, 600]))


def generated(rng):
    kind = rng.choice([NONE] * 4 + [FORM, DATA, DATA, OTHER])
    body = b''
    if kind == FORM:
        body = query(rng)
    elif kind == DATA:
        body = (some(rng, JSON, 12) if rng.random() < .5
                else value(rng).encode())
    elif kind == OTHER:
        body = some(rng, PIECES, 30)
    return Hit(site=rng.choice([b'shop', b'a', b'news.example-1', b'x' * 64]),
               visitor=text(rng), ip=rng.choice([b'', b'203.0.113.7']),
               host=text(rng), path=b'/' + text(rng), query=query(rng),
               referer=text(rng), user_agent=text(rng), body=body,
               method=rng.choice(['GET', 'HEAD', 'POST']), body_kind=kind,
               max_args=rng.choice([0, 1, 2, 5, 256, 256, 256, 65535]),
               fields=[text(rng) for _ in range(rng.choice([0, 1, 4]))],
               flags=rng.choice([0, 0, 1, 2, 5, 7]),
               epoch=rng.choice([0x9f3c0a1b2c3d4e5f, 1, 2 ** 64 - 1]),
               lane=rng.choice([0, 3, 16, 255]),
               offset=rng.choice([0, 8, 0x1a2b40, 2 ** 64 - 8,
                                  rng.randrange(2 ** 64)]),
               time_ns=rng.choice([0, 1795301761204000000,
                                   rng.randrange(2 ** 64)]))


def rendered(hits):
    names = (['field=' + name for name in FIELDS]
             + ['flag=' + name for name in FLAGS])
    done = subprocess.run([os.path.join(BUILD, 'render_cli'), 'web7'] + names,
                          input=''.join(hit.case() for hit in hits).encode(),
                          stdout=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.split(b'\n')[:-1]


def compare(hits, name):
    """Returns the lines."""
    code, lines = rendered(hits)
    is_(code, 0, name + ': the tool ends well')
    is_(len(lines), len(hits), name + ': each hit is one line')
    wrong = [(hit, line) for hit, line in zip(hits, lines)
             if decoder.render(hit, 'web7', FIELDS, FLAGS) != line + b'\n']
    for hit, line in wrong[:3]:
        diag('expected %r' % decoder.render(hit, 'web7', FIELDS, FLAGS)[:2000])
        diag('     got %r' % line[:2000])
    is_(len(wrong), 0, name + ': every line is what the decoder makes of it')
    return lines


def strict(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError('duplicate key')
    return dict(pairs)


rng = random.Random(seed())
lines = compare([generated(rng) for _ in range(HITS)], 'generated hits')
parsed = [json.loads(line.decode('utf-8'), object_pairs_hook=strict)
          for line in lines]
is_(len(parsed), HITS, 'every line is strict UTF-8 JSON without double keys')
bad = sum('malformed' in hit.get('flags', []) for hit in parsed)
ok(bad > HITS / 2, 'most of the generated hits are malformed')
ok(HITS / 20 < sum('data' in hit for hit in parsed) < HITS / 4,
   'some bodies are data, some are not')
ok(all(member in hit for hit in parsed for member in
       ('v', 'id', 'time', 'edge', 'site', 'method', 'path', 'args')),
   'what always stands does')

with open(os.path.join(TOP, 't', 'data', 'requests.txt'), 'rb') as f:
    targets = [line.rstrip(b'\n') for line in f]
compare([Hit(path=path, query=query) for path, _, query in
         (target.partition(b'?') for target in targets)], 'vendors\' tags')

lines = compare([Hit(query=b'x' * n + b'=' + macro + b'y' * (n % 3))
                 for n in range(70) for macro in MACROS],
                'macros at every place of a block')
ok(200 < sum(b'"flags":["macro"]' in line for line in lines) < len(lines),
   'some of them are labelled')

# places where a block, a page or a table ends
edges = [Hit(query=b'x' * n + piece + b'y' * m)
         for n in list(range(0, 68)) + [127, 128, 129]
         for piece in PIECES for m in (0, 1)]
compare(edges, 'every piece at every place of a block')
compare([Hit(path=b'x' * n + piece) for n in range(0, 36) for piece in PIECES],
        'the same in a string')
rare = b'&'.join([b'\xff%4' * 100] * 2)
compare([Hit(query=rare + b'x' * n + piece + b'&y=%41\xc3' * m)
         for n in range(0, 66) for piece in PIECES for m in (0, 1)],
        'and behind so much that is rare that it is decoded in bulk')
compare([Hit(user_agent=rare + b'x' * n + piece + b'y' * m)
         for n in range(0, 66) for piece in PIECES for m in (0, 1)],
        'and in such a string')
compare([Hit(query=dense(rng), body=dense(rng), path=dense(rng),
             body_kind=rng.choice([FORM, OTHER]),
             max_args=rng.choice([0, 5, 256])) for _ in range(DENSE)],
        'and all sorts of it')
many = [b'&'.join(b'k%d=%d' % (i % keys, i) for i in range(n))
        for n in (255, 256, 257, 300, 5000) for keys in (1, 255, 257, 5000)]
compare([Hit(query=q, max_args=limit) for q in many
         for limit in (0, 1, 255, 256, 257, 65535)],
        'many keys, distinct and not')
compare([Hit(query=many[3], body=q, body_kind=FORM, max_args=limit)
         for q in many for limit in (0, 256, 300)],
        'a form goes on where the query ended')
compare([Hit(time_ns=second * 10 ** 9 + ns) for second in
         (0, 951782399, 951782400, 951868800, 4107542399, 4107542400,
          253402300799 // 16, 1709164800, 1709251199) for ns in
         (0, 999999, 1000000, 999999999)],
        'the calendar, leap years and the last millisecond')
deep = [b'[' * n + b']' * n for n in (31, 32, 33, 10 ** 6)]
deep += [b'{"a":' * n + b'1' + b'}' * n for n in (32, 33)]
deep += [b'1' * 10 ** 6, b'-' + b'9' * 10 ** 6 + b'.' + b'0' * 10 ** 6 + b'e9',
         b'{' + b','.join(b'"k%d":0' % i for i in range(10 ** 5)) + b'}',
         b'{' + b','.join(b'"k%d":0' % (i % 99999) for i in range(10 ** 5))
         + b'}']
compare([Hit(body=body, body_kind=DATA) for body in deep],
        'deep, long and wide JSON')
code, lines = rendered([Hit(site=site) for site in
                        (b'', b'.x', b'_x', b'a/b', b'x' * 65, b'a\0')])
is_(set(lines), {b'!corrupt'}, 'a payload with a bad site is corrupt')

done_testing()
