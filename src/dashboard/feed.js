// The feed: newest on top, a row each; calm when hits come faster than a
// person reads.
import {element, now} from './clock.js';
import {normal} from './filter.js';
import {$, country, hide, hits, isolate, make} from './text.js';
import {motion, place, say, short} from './text.js';

const ROWS = 500;
const MARKS = 20;                       // lines between hits that wait
const TICK = 250;                       // ms: a row each, at most
const CALM = 4;                         // rows that may wait their turn; when
const SLOW = 1000;                      // more do, ms to a row

export class Feed {
    // open(hit): a row was chosen
    constructor(open) {
        this.open = open;
        this.list = $('feed');
        this.box = $('feed-scroll');
        this.queue = [];                // not shown yet, oldest first: hits,
                                        // {raw, id} of some, or {mark, kind}
        this.more = 0;                  // hits before those: only counted
        this.paused = false;
        this.counting = false;          // more than a person reads
        this.hits = new WeakMap();      // row -> hit
        this.pointer = false;
        this.top = 0;                   // scrolled so far down
        this.box.addEventListener('scroll', () => {
            this.top = this.box.scrollTop;
        }, {passive: true});
        this.box.addEventListener('pointerenter', event => {
            this.pointer = event.pointerType === 'mouse';
        });
        this.box.addEventListener('pointerleave', () => {
            this.pointer = false;
        });
        this.list.addEventListener('click', event => {
            const row = event.target.closest('.row');
            if (row)
                this.open(this.hits.get(row), row);
        });
        // who walks through it by keys holds it, too
        this.keys = false;
        addEventListener('pointerdown', () => {
            this.keys = false;
        });
        addEventListener('keyup', event => {
            if (event.key !== 'Escape')
                this.keys = true;
        });
        // the newest row is where the tab key comes in
        addEventListener('keydown', event => {
            if (event.key === 'Tab')
                this.focusable();
        }, true);
        this.box.addEventListener('keydown', event => this.key(event));
        this.list.addEventListener('focusin', event => this.rove(event));
        document.addEventListener('visibilitychange', () => this.run());
        $('waiting').addEventListener('click', () => this.flush());
    }

    // A new site or filter.
    clear() {
        this.keepFocus(() => this.list.replaceChildren());
        this.queue = [];
        this.more = 0;
        this.tell();
    }

    // Whose row goes has the feed.
    keepFocus(change) {
        const had = this.list.contains(document.activeElement);
        change();
        if (had && !this.list.contains(document.activeElement))
            this.box.focus({preventScroll: true});
    }

    get waiting() {
        return this.more + this.queue.filter(item => !item.mark).length;
    }

    get held() {
        return this.paused || this.pointer
            || this.keys && this.list.contains(document.activeElement);
    }

    // A hit, or {raw, id} of one that need not be read unless it is shown.
    add(item) {
        this.queue.push(item);
        if (this.queue.length > ROWS)
            this.count(this.queue.splice(0, ROWS / 2));
        this.run();
    }

    // So many came that nobody will see.
    skip(count) {
        this.more += count;
        this.run();
    }

    // These will not be shown, only counted; what happened between them is.
    count(items) {
        const marks = items.filter(item => item.mark);
        this.more += items.length - marks.length;
        this.queue.unshift(...marks.slice(-MARKS));
    }

    // A line between hits: what happened there.
    mark(text, kind) {
        this.queue.push({mark: text, kind, at: now()});
        this.run();
    }

    // Nothing runs while nothing waits, or nobody looks.
    run() {
        if (!document.hidden)
            this.timer ||= setTimeout(() => this.tick(),
                                      this.counting ? SLOW : TICK);
    }

    tick() {
        this.timer = null;
        this.tell();
        if (!this.queue.length && !this.more) {
            this.counting = false;
            return;
        }
        if (!this.held) {
            const counted = this.counting;
            this.counting = this.waiting > CALM;
            if (counted) {
                this.count(this.queue.splice(0, this.queue.length - 1));
                this.show(this.queue.splice(0), false);
            } else if (!this.counting) {
                this.show(this.queue.splice(0, 1));
            }
        }
        this.run();
    }

    // What waits, at once: of many the newest.
    flush() {
        const newest = this.queue.splice(-20);
        this.count(this.queue.splice(0));
        this.show([...this.queue.splice(0), ...newest], false);
        this.tell();
        this.box.scrollTop = 0;
    }

    // The first hits there are, newest last.
    fill(items) {
        this.show(items, false);
    }

    show(items, slides = true) {
        const before = this.list.firstElementChild;
        const rows = items.map(item => item.mark ? this.line(item)
            : this.row(item.raw ? normal(item.raw, item.id) : item))
            .filter(Boolean);
        this.list.prepend(...rows.reverse());
        if (this.list.childElementCount > ROWS)
            this.keepFocus(() => {
                while (this.list.childElementCount > ROWS)
                    this.list.lastElementChild.remove();
            });
        if (!this.stop?.isConnected)
            this.focusable();
        const stays = this.top > 4;     // somebody reads further down
        const slide = slides && motion.matches && !document.hidden;
        if (!before || !rows.length || !stays && !slide)
            return;
        const height = before.offsetTop - rows[0].offsetTop;
        if (stays)
            this.box.scrollTop = this.top += height;
        else
            this.list.animate([{transform: `translateY(${-height}px)`},
                               {transform: 'none'}],
                              {duration: 180, easing: 'ease-out'});
    }

    row(hit) {
        if (!hit)
            return null;
        const row = make('button', 'row');
        row.type = 'button';
        row.tabIndex = -1;
        const main = make('span', 'main', element(hit.time, true),
                          isolate(short(place(hit.page) || '–', 300),
                                  'page'));
        if (hit.event)
            main.append(make('span', 'event', '· ',
                             isolate(short(hit.event, 40))));
        if (hit.referrer)
            main.append(make('span', 'from', '← ',
                             isolate(short(place(hit.referrer), 120))));
        const side = make('span', 'side',
                          isolate(short(hit.visitor || 'nobody known', 12),
                                  'visitor'));
        if (hit.country) {
            const code = isolate(short(hit.country, 12), 'country');
            code.title = country(hit.country);
            side.append(code);
        }
        if (hit.browser)
            side.append(isolate(short(hit.browser, 24), 'browser'));
        for (const flag of hit.flags)
            side.append(isolate(short(flag, 24), 'flag'));
        if (this.more) {
            side.append(make('span', 'plus', '+' + hits(this.more)));
            this.more = 0;
        }
        row.append(main, side);
        this.hits.set(row, hit);
        return make('li', '', row);
    }

    line(item) {
        return make('li', 'line ' + item.kind,
                    element(item.at), make('span', '', item.mark));
    }

    // How much waits, where the feed is held.
    tell() {
        const button = $('waiting');
        const text = this.held && !this.paused && this.waiting
            ? '+' + hits(this.waiting) : '';
        say(button, text);
        hide(button, !text);
        this.counts?.(this.waiting);
    }

    // ---- the keyboard: one stop of the tab key, arrows inside

    focusable() {
        if (this.list.contains(document.activeElement))
            return;
        const rows = this.list.getElementsByClassName('row');
        this.stop?.setAttribute('tabindex', '-1');
        this.stop = rows[0];
        this.stop?.setAttribute('tabindex', '0');
    }

    rove(event) {
        const row = event.target.closest('.row');
        if (!row)
            return;
        this.stop?.setAttribute('tabindex', '-1');
        this.stop = row;
        row.tabIndex = 0;
    }

    key(event) {
        const rows = [...this.list.getElementsByClassName('row')];
        const at = rows.indexOf(document.activeElement);
        const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0,
                    End: rows.length - 1, PageDown: at + 10,
                    PageUp: at - 10}[event.key];
        if (to === undefined)
            return;
        event.preventDefault();
        rows[Math.max(0, Math.min(rows.length - 1, to))]?.focus();
    }
}
