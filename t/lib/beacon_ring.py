"""What capture tests share: records read from the ring as lines, no helper."""

import json

import beacon_test as t


class Ring:
    """new() gives the records committed since the last call, rendered and
    parsed, in lane order.  One worker makes that the order of the hits."""

    def __init__(self, env):
        self.env = env
        self.seen = set()

    def raw(self):
        done = t.tool('ring_dump', self.env.ring, encoding='utf-8')
        return done.stdout.split('\n')[:-1]

    def all(self):
        return [json.loads(line) for line in self.raw()]

    def new(self):
        new = [hit for hit in self.all()
               if 'id' in hit and hit['id'] not in self.seen]
        self.seen.update(hit['id'] for hit in new)
        return new

    def one(self):
        """The one new record; {} and a complaint where there is not one.
        A mirror's may come after the page's answer."""
        new = []
        t.wait_until(lambda: new.extend(self.new()) or new, 5)
        if len(new) != 1:
            t.diag('%d new records: %s' % (len(new), new))
            return {}
        return new[0]


def capture_env(**options):
    """One worker, and nobody who takes records out of the ring."""
    options.setdefault('workers', 1)
    options.setdefault('helper', 'external')
    env = t.Env(**options)
    return env, Ring(env)


def books(env):
    """What beacon_status says of captures, flat."""
    capture = env.status()['capture']
    flat = {name: capture[name] for name in ('accepted', 'refused', 'dropped')}
    flat.update(capture['rejected'])
    return flat


class Counted:
    """since() gives what changed in the books since the last call."""

    def __init__(self, env):
        self.env = env
        self.last = books(env)

    def since(self):
        now = books(self.env)
        changed = {name: now[name] - self.last[name] for name in now
                   if now[name] != self.last[name]}
        self.last = now
        return changed
