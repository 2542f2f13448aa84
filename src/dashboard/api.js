// Requests to the live API, all relative to the page.
import {sync} from './clock.js';

const TIMEOUT = 4000;
const ELSEWHERE = 302;                  // a login page, as a rule

export class Failure extends Error {
    constructor(status, detail) {
        super(detail || 'HTTP ' + status);
        this.status = status;           // 0: no answer
    }

    // Who asks is not let in (any more).
    get signedOut() {
        return [401, 403, ELSEWHERE].includes(this.status);
    }
}

// url: relative; its answer, parsed.  Fails with a Failure, or, if signal
// says so, an AbortError.
export async function get(url, {signal, timeout = TIMEOUT} = {}) {
    const giveUp = new AbortController();
    const stop = () => giveUp.abort();
    const timer = setTimeout(stop, timeout);
    signal?.addEventListener('abort', stop);
    try {
        const [sent, answer] = await asked(url, giveUp.signal);
        sync(answer.headers.get('Date'), sent, performance.now());
        const json = /json/.test(answer.headers.get('Content-Type'));
        if (answer.type === 'opaqueredirect' || answer.ok && !json)
            throw new Failure(ELSEWHERE);
        if (!answer.ok) {
            const problem = await answer.json().catch(() => ({}));
            throw new Failure(answer.status, problem.detail);
        }
        return await answer.json();
    } catch (error) {
        if (error instanceof Failure || signal?.aborted)
            throw error;
        throw new Failure(0, 'no answer');
    } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
    }
}

// When, and what came: what early.js has asked is not asked again.
async function asked(url, signal) {
    const early = window.early?.[url];
    delete window.early?.[url];
    const answer = await early?.answer;
    if (answer)
        return [early.sent, answer];
    const sent = performance.now();
    return [sent, await fetch(url, {signal, cache: 'no-store',
                                    redirect: 'manual'})];
}

export function path(site, what, query = {}) {
    const words = new URLSearchParams(query).toString();
    return 'v1/' + encodeURIComponent(site) + '/' + what
        + (words ? '?' + words : '');
}

// <epoch>.<sequence>
export function sequence(cursor) {
    const n = Number(String(cursor).split('.').pop());
    return Number.isFinite(n) ? n : 0;
}

export const epoch = cursor => String(cursor).split('.')[0];

// Hits between two cursors of one store, else 0.
export const between = (from, to) => epoch(from) === epoch(to)
    ? Math.max(0, sequence(to) - sequence(from)) : 0;

export const before = cursor => epoch(cursor) + '.'
    + Math.max(0, sequence(cursor) - 1);

export const pause = ms => new Promise(done => setTimeout(done, ms));

// Once somebody can see the page.
export const visible = () => new Promise(done => {
    const look = () => {
        if (document.hidden)
            return;
        document.removeEventListener('visibilitychange', look);
        done();
    };
    document.addEventListener('visibilitychange', look);
    look();
});
