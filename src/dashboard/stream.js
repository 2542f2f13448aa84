// New hits of a site, from a cursor on: by server-sent events, or by long
// polls where events do not come through (a proxy that keeps them back, no
// room for one more stream); then now and then it looks whether they do.
import {Failure, get, path, pause, visible} from './api.js';

const WAIT = 25;                        // s that a poll is kept
const LIMIT = 1000;                     // hits of a poll
const SLOWEST = 5000;                   // ms between two tries
const PACE = 2000;                      // ms from one poll to the next; where
const MORE = 200;                       // more is there already, so many
const LASTED = 5000;                    // ms of a stream that is no failure
const FIRST = 10000;                    // ms that the first event may take
const SILENT = 40000;                   // ms without one; a beat takes 15 s
const ANEW = 180000;                    // ms of polls until the next look

// to: {hit(raw, id), gap(n), reset(), up(), down(failure)}; raw: JSON text,
// or what it says
export class Stream {
    constructor(site, query, cursor, to) {
        this.site = site;
        this.query = query;
        this.cursor = cursor;
        this.to = to;
        this.polls = typeof EventSource === 'undefined';
        this.failed = 0;                // tries in a row
        this.refused = 0;               // streams that said nothing
        this.open = false;              // as far as is known
        this.over = new AbortController();
        this.connect();
    }

    stop() {
        this.over.abort();
        this.asking?.abort();
        this.source?.close();
        this.look?.close();
        clearTimeout(this.timer);
        clearTimeout(this.looking);
    }

    // Events do not come through, though the server has hits.
    usePolls() {
        if (this.polls || this.over.signal.aborted)
            return;
        this.polls = true;
        this.source?.close();
        clearTimeout(this.timer);
        this.connect();
    }

    // The server answers: then events come, too, or this stream is dead.
    check() {
        const quiet = performance.now() - this.heard;
        if (this.polls || this.timer)
            return;
        if (!this.spoke && quiet > FIRST) {
            this.usePolls();
        } else if (quiet > SILENT) {
            this.source.close();
            this.connect();
        }
    }

    // At once, not when the next try is due.
    retry() {
        if (!this.timer)
            return;
        clearTimeout(this.timer);
        this.connect();
    }

    connect() {
        this.timer = null;
        if (this.over.signal.aborted)
            return;
        if (this.polls) {
            this.lookLater();
            this.poll();
        } else {
            this.listen();
        }
    }

    again(failure) {
        if (this.over.signal.aborted || this.timer)
            return;
        this.open = false;
        this.to.down(failure);
        const wait = Math.min(SLOWEST, 200 * 2 ** this.failed++);
        this.timer = setTimeout(() => this.connect(),
                                wait * (0.75 + Math.random() / 2));
    }

    good() {
        this.refused = 0;
        this.open = true;
        this.to.up();
    }

    events() {
        return new EventSource(path(this.site, 'stream', [
            ['since', this.cursor], ...this.query]));
    }

    listen() {
        const source = this.events();
        this.source = source;
        this.spoke = false;
        const began = this.heard = performance.now();
        const on = (name, then) => source.addEventListener(name, event => {
            this.heard = performance.now();
            if (event.lastEventId)
                this.cursor = event.lastEventId;
            if (!this.spoke) {
                this.spoke = true;
                this.good();
            }
            then(event);
        });
        on('message', event => this.to.hit(event.data, event.lastEventId));
        on('gap', event => this.to.gap(parsed(event.data)?.gap || 0));
        on('reset', () => this.to.reset());
        on('beat', () => {});
        source.onerror = () => {
            // closed: an answer that is no stream; else the browser would
            // try again, with a wait of its own choice
            if (!this.spoke && source.readyState === EventSource.CLOSED
                && ++this.refused > 1)
                this.polls = true;
            if (this.spoke && performance.now() - began > LASTED)
                this.failed = 0;
            source.close();
            this.again(new Failure(0, 'no answer'));
        };
    }

    // ---- long polls

    async poll() {
        const {signal} = this.asking = new AbortController();
        try {
            for (;;) {
                await visible();
                if (signal.aborted)
                    return;
                const began = performance.now();
                const answer = await get(path(this.site, 'hits', [
                    ['since', this.cursor], ['limit', LIMIT],
                    ...this.failed ? [] : [['wait', WAIT]], ...this.query]),
                    {signal, timeout: (WAIT + 5) * 1000});
                if (signal.aborted)
                    return;
                this.failed = 0;
                this.good();
                this.take(answer);
                await pause((answer.more ? MORE : PACE)
                            - (performance.now() - began));
            }
        } catch (failure) {
            if (!signal.aborted)
                this.again(failure);
        }
    }

    take(answer) {
        if (answer.next)
            this.cursor = answer.next;
        if (answer.reset)
            this.to.reset();
        if (answer.gap)
            this.to.gap(answer.gap);
        answer.hits.forEach((raw, i) => this.to.hit(raw,
            i === answer.hits.length - 1 ? answer.next : ''));
    }

    // A stream beside the polls: one word of it, and it takes their place.
    lookLater() {
        this.looking ||= setTimeout(async () => {
            await visible();
            this.looking = 0;
            if (this.over.signal.aborted)
                return;
            const look = this.look = this.events();
            const end = () => {
                look.close();
                clearTimeout(late);
                this.lookLater();
            };
            const late = setTimeout(end, FIRST);
            look.onerror = end;
            look.addEventListener('beat', () => {
                look.close();
                clearTimeout(late);
                this.asking.abort();
                clearTimeout(this.timer);
                this.polls = false;
                this.connect();
            });
        }, ANEW);
    }
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}
