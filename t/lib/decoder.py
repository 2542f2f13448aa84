"""An independent decoder: from what a client sent to the line it must become.

Written from the record's description and the WHATWG URL and Encoding standards
only; it shares nothing with the C code, so that the two can be held against
each other.
"""

import datetime
import json
import re
import struct

STRINGS = ("site", "visitor", "ip", "host", "path", "query", "referer",
           "user_agent", "body")
METHODS = {"GET": 1, "HEAD": 2, "POST": 3}
NONE, FORM, DATA, OTHER = range(4)
HEX = re.compile(rb"[0-9A-Fa-f]{2}")

# What an ad server should have replaced: in a key or value, and raw.
MACRO = re.compile(
    rb"\$\{[A-Za-z_][A-Za-z0-9_.:-]*\}|%%[A-Za-z_][A-Za-z0-9_.:-]*%%"
    rb"|(?:\A|(?<=[\"=/;,&?|#:-]))\[[A-Za-z_][A-Za-z0-9_]{2,}\]"
    rb"(?=\Z|[\"=/;,&?|#:.-])|\{\{[^{}\"]+\}\}")
MACRO_LEN = 4096                # of each text that is searched


class Hit:
    """A hit as a worker captures it; strings are bytes."""

    def __init__(self, **members):
        self.site = b"shop"
        self.visitor = self.ip = self.host = self.query = b""
        self.referer = self.user_agent = self.body = b""
        self.path = b"/px.gif"
        self.method = "GET"
        self.body_kind = NONE
        self.max_args = 256
        self.fields = []
        self.flags = 0
        self.epoch, self.lane, self.offset = 0x9f3c0a1b2c3d4e5f, 3, 0x1a2b40
        self.time_ns = 1795301761204000000
        for name, value in members.items():
            if not hasattr(self, name):
                raise AttributeError(name)
            setattr(self, name, value)

    def payload(self):
        strings = [getattr(self, name) for name in STRINGS] + self.fields
        return (struct.pack("=BBHHHI", METHODS[self.method], self.body_kind,
                            self.max_args, len(self.fields), 0, self.flags)
                + b"".join(struct.pack("=I", len(s)) for s in strings)
                + b"".join(s + b"\0" for s in strings))

    def case(self):
        """A line for render_cli."""
        return "%x %x %x %d %s\n" % (self.epoch, self.lane, self.offset,
                                     self.time_ns, self.payload().hex())


class Text:
    """Decodes UTF-8 and remembers whether anything was lost."""

    def __init__(self):
        self.malformed = False

    def __call__(self, data):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            self.malformed = True
            # CPython replaces maximal subparts, as the standard does
            return data.decode("utf-8", "replace")


def percent_decode(data, text):
    out = bytearray()
    i = 0
    while i < len(data):
        if data[i] == 0x25:
            if HEX.fullmatch(data[i + 1:i + 3]):
                out.append(int(data[i + 1:i + 3], 16))
                i += 3
                continue
            text.malformed = True
        out.append(data[i])
        i += 1
    return bytes(out)


def urlencoded(data, text):
    """The application/x-www-form-urlencoded parser, one pair at a time."""
    for sequence in data.split(b"&"):
        if sequence:
            name, _, value = sequence.partition(b"=")
            yield tuple(text(percent_decode(part.replace(b"+", b" "), text))
                        for part in (name, value))


def raw(data):
    return "".join(chr(c) if 0x20 <= c <= 0x7e else "%%%02X" % c
                   for c in data)


class Arguments:
    def __init__(self, limit):
        self.limit = limit
        self.n = 0
        self.values = {}
        self.later = b""                # values of repeated keys, as JSON

    def take(self, data):
        """Adds the arguments of a query or form; True: bytes were lost."""
        text = Text()
        sequences = [s for s in data.split(b"&") if s]
        room = len(sequences)
        if self.limit:
            room = min(room, self.limit - self.n)
        self.n += room
        for name, value in urlencoded(b"&".join(sequences[:room]), text):
            if name in self.values:
                self.later += quote(value)[1:].encode()
            self.values.setdefault(name, []).append(value)
        return text.malformed or room < len(sequences)


def depth(text):
    deepest = level = 0
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.S):
        if token in "[{":
            level += 1
            deepest = max(deepest, level)
        elif token in "]}":
            level -= 1
    return deepest


def is_data(body):
    def refuse(value):
        raise ValueError(value)

    def pairs(items):
        if len({key for key, _ in items}) != len(items):
            raise ValueError("duplicate key")
        for key, _ in items:
            key.encode("utf-8")
        return 0

    def strings(value):
        if isinstance(value, str):
            value.encode("utf-8")
        elif isinstance(value, list):
            for item in value:
                strings(item)

    def check_pairs(items):
        for _, value in items:
            strings(value)
        return pairs(items)

    try:
        text = body.decode("utf-8")
        if depth(text) > 32:
            return False
        strings(json.loads(text, object_pairs_hook=check_pairs,
                           parse_int=lambda s: 0, parse_float=lambda s: 0,
                           parse_constant=refuse))
    except (ValueError, RecursionError):
        return False
    return True


def quote(value):
    return json.dumps(value, ensure_ascii=False)


def objects(value):
    if isinstance(value, dict):
        return "{%s}" % ",".join(quote(k) + ":" + objects(v)
                                 for k, v in value.items())
    if isinstance(value, list):
        return "[%s]" % ",".join(map(objects, value))
    return quote(value)


def render(hit, edge, fields=(), flags=()):
    """The line, as bytes."""
    text = Text()
    arguments = Arguments(hit.max_args)
    lost_query = arguments.take(hit.query)
    lost_form = hit.body_kind == FORM and arguments.take(hit.body)
    moment = (datetime.datetime(1970, 1, 1)
              + datetime.timedelta(milliseconds=hit.time_ns // 1000000))

    members = [("v", "1"),
               ("id", quote("%016x-%x-%x" % (hit.epoch, hit.lane,
                                             hit.offset))),
               ("time", quote(moment.isoformat(timespec="milliseconds")
                              + "Z")),
               ("edge", quote(edge)),
               ("site", quote(text(hit.site)))]

    def add(name, value):
        if value:
            members.append((name, objects(value)))

    add("visitor", text(hit.visitor))
    add("ip", text(hit.ip))
    add("method", hit.method)
    add("host", text(hit.host))
    members.append(("path", quote(text(hit.path))))
    members.append(("args", objects({k: v[0] for k, v
                                     in arguments.values.items()})))
    add("referer", text(hit.referer))
    add("user_agent", text(hit.user_agent))
    add("fields", {name: text(value) for name, value
                   in zip(fields, hit.fields) if value})

    data = hit.body_kind == DATA and hit.body and is_data(hit.body)
    body = ""
    if hit.body_kind == FORM:
        body = raw(hit.body) if lost_form else ""
    elif not data:
        body = text(hit.body)

    names = [name for i, name in enumerate(flags) if hit.flags >> i & 1]
    if text.malformed or lost_query or lost_form:
        names.append("malformed")
    if any(MACRO.search(found[:MACRO_LEN]) for found in (
            dict(members)["args"][1:].encode(), arguments.later,
            hit.query if lost_query else b"",
            hit.body if lost_form else b"")):
        names.append("macro")
    add("flags", names)
    add("repeated", {k: v for k, v in arguments.values.items() if v[1:]})
    add("query", raw(hit.query) if lost_query else "")
    if data:
        members.append(("data", re.sub("[\r\n]", " ", hit.body.decode())))
    add("body", body)

    line = "{%s}\n" % ",".join('"%s":%s' % member for member in members)
    return line.encode("utf-8")
