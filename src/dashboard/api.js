// Requests to the live API, all relative to the page.
import {sync} from './clock.js';

const TIMEOUT = 4000;

export class Failure extends Error {
    constructor(status, detail) {
        super(detail || 'HTTP ' + status);
        this.status = status;           // 0: no answer
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
        const sent = performance.now();
        const answer = await fetch(url, {signal: giveUp.signal,
                                         cache: 'no-store'});
        sync(answer.headers.get('Date'), sent, performance.now());
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

export function before(cursor) {
    const parts = String(cursor).split('.');
    parts.push(Math.max(0, Number(parts.pop()) - 1));
    return parts.join('.');
}
