// New hits of a site, from a cursor on: by server-sent events, or by long
// polls where events do not come through (a proxy that keeps them back, no
// room for one more stream).
import {Failure, get, path, sequence} from './api.js';

const WAIT = 25;                        // s that a poll is kept
const LIMIT = 200;                      // hits of a poll
const SLOWEST = 5000;                   // ms between two tries
const PACE = 1000;                      // ms from one poll to the next

// to: {hit(raw, id), gap(n), reset(), up(), down(failure)}
export class Stream {
    constructor(site, query, cursor, to) {
        this.site = site;
        this.query = query;
        this.cursor = cursor;
        this.to = to;
        this.polls = typeof EventSource === 'undefined';
        this.failed = 0;                // tries in a row
        this.refused = 0;               // streams that never opened
        this.open = false;              // as far as is known
        this.over = new AbortController();
        this.connect();
    }

    stop() {
        this.over.abort();
        this.source?.close();
        clearTimeout(this.timer);
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

    // All hits up to there have come, if only those that the filter wants.
    reached(cursor) {
        const [epoch] = this.cursor.split('.');
        if (cursor.startsWith(epoch + '.')
            && sequence(cursor) > sequence(this.cursor))
            this.cursor = cursor;
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
        if (this.polls)
            this.poll();
        else
            this.listen();
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
        this.failed = 0;
        this.open = true;
        this.to.up();
    }

    listen() {
        const source = new EventSource(path(this.site, 'stream', [
            ['since', this.cursor], ...this.query]));
        let opened = false;
        this.source = source;
        const take = event => {
            if (event.lastEventId)
                this.cursor = event.lastEventId;
        };
        const hit = event => {
            take(event);
            const raw = parsed(event.data);
            if (raw)
                this.to.hit(raw, event.lastEventId);
        };
        source.onopen = () => {
            opened = true;
            this.refused = 0;
            this.good();
        };
        source.onmessage = hit;
        source.addEventListener('hit', hit);
        source.addEventListener('gap', event => {
            take(event);
            this.to.gap(parsed(event.data)?.gap || 0);
        });
        source.addEventListener('reset', event => {
            take(event);
            this.to.reset();
        });
        source.onerror = () => {
            // closed: an answer that is no stream; else the browser would
            // try again, with a wait of its own choice
            if (!opened && source.readyState === EventSource.CLOSED
                && ++this.refused > 1)
                this.polls = true;
            source.close();
            this.again(new Failure(0, 'no answer'));
        };
    }

    async poll() {
        const {signal} = this.over;
        try {
            while (!signal.aborted) {
                const began = performance.now();
                const answer = await get(path(this.site, 'hits', [
                    ['since', this.cursor], ['limit', LIMIT],
                    ...this.failed ? [] : [['wait', WAIT]], ...this.query]),
                    {signal, timeout: (WAIT + 5) * 1000});
                if (signal.aborted)
                    return;
                this.good();
                this.take(answer);
                await pause(PACE - (performance.now() - began));
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
}

const pause = ms => new Promise(done => setTimeout(done, ms));

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}
