// The server's time, whatever the viewer's clock says; and times in words.

// Date has whole seconds: each answer bounds the difference to our own,
// monotonic clock from both sides, and all answers together do so closely.
let low = -Infinity;
let high = Infinity;

export function sync(date, sent, received) {
    const server = Date.parse(date);
    if (Number.isNaN(server))
        return;
    const from = server - received;
    const to = server + 1000 - sent;
    low = Math.max(low, from);
    high = Math.min(high, to);
    if (low > high) {                   // a clock was set, or a host slept
        low = from;
        high = to;
    }
}

export function now() {
    return low === -Infinity ? Date.now()
        : performance.now() + (low + high) / 2;
}

const two = n => String(n).padStart(2, '0');

export function time(ms, seconds = true) {
    const date = new Date(ms);
    return two(date.getHours()) + ':' + two(date.getMinutes())
        + (seconds ? ':' + two(date.getSeconds()) : '');
}

export function utc(ms) {
    return new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

// Not today: with its day.
export function day(ms) {
    const date = new Date(ms);
    const today = new Date(now());
    return date.toDateString() === today.toDateString() ? ''
        : date.toLocaleDateString('en', {day: 'numeric', month: 'short'})
            + ' ';
}

export function span(ms) {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60)
        return s + ' s';
    if (s < 3600)
        return Math.floor(s / 60) + ' min' + (s % 60 ? ' ' + s % 60 + ' s'
                                                     : '');
    const minutes = Math.round(s / 60);
    if (minutes < 1440)
        return Math.floor(minutes / 60) + ' h '
            + (minutes % 60 ? minutes % 60 + ' min' : '');
    return Math.round(minutes / 1440) + ' days';
}

// <time>: the viewer's time, UTC on hover.
export function element(ms, withDay = false) {
    const time_ = document.createElement('time');
    if (Number.isNaN(ms)) {
        time_.textContent = '–';
        return time_;
    }
    time_.dateTime = new Date(ms).toISOString();
    time_.title = utc(ms);
    time_.textContent = (withDay ? day(ms) : '') + time(ms);
    return time_;
}
