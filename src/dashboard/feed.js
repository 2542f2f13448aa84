// The feed: newest on top, a row each; calm when hits come faster than a
// person reads.
import {element, now} from './clock.js';
import {$, country, hide, hits, isolate, make} from './text.js';
import {motion, place, say, short} from './text.js';

const ROWS = 500;
const MARKS = 20;                       // lines between hits that wait
const TICK = 250;                       // ms: a row each, at most
const CALM = 4;                         // rows that may wait their turn; when
const SLOW = 4;                         // more do, a row every so many ticks

export class Feed {
    // open(hit): a row was chosen
    constructor(open) {
        this.open = open;
        this.list = $('feed');
        this.box = $('feed-scroll');
        this.queue = [];                // not shown yet, oldest first
        this.more = 0;                  // hits before those: only counted
        this.paused = false;
        this.counting = false;          // more than a person reads
        this.ticks = 0;
        this.hits = new WeakMap();      // row -> hit
        this.pointer = false;
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
        this.list.addEventListener('keydown', event => this.key(event));
        this.list.addEventListener('focusin', event => this.rove(event));
        $('waiting').addEventListener('click', () => this.flush());
    }

    // A new site or filter.
    clear() {
        this.list.replaceChildren();
        this.queue = [];
        this.more = 0;
        this.tell();
    }

    get waiting() {
        return this.more + this.queue.filter(item => !item.mark).length;
    }

    get held() {
        return this.paused || this.pointer
            || this.keys && this.list.contains(document.activeElement);
    }

    add(hit) {
        this.queue.push(hit);
        if (this.queue.length > ROWS)
            this.count(this.queue.splice(0, ROWS / 2));
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
        this.queue.push({mark: text, kind});
        this.run();
    }

    // Nothing runs while nothing waits.
    run() {
        if (!this.timer)
            this.timer = setInterval(() => this.tick(), TICK);
    }

    tick() {
        this.tell();
        if (!this.queue.length && !this.more) {
            clearInterval(this.timer);
            this.timer = null;
            return;
        }
        if (this.held || document.hidden)
            return;
        this.ticks++;
        this.counting ||= this.waiting > CALM;
        if (!this.counting) {
            this.show(this.queue.splice(0, 1));
        } else if (this.ticks % SLOW === 0) {
            this.counting = this.waiting > CALM;
            this.count(this.queue.splice(0, this.queue.length - 1));
            this.show(this.queue.splice(0), false);
        }
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
        const top = this.box.scrollTop;
        const before = this.list.firstElementChild;
        const rows = items.map(item => item.mark ? this.line(item)
                                                 : this.row(item));
        this.list.prepend(...rows.reverse());
        while (this.list.childElementCount > ROWS)
            this.list.lastElementChild.remove();
        this.focusable();
        if (!before || !rows.length)
            return;
        const height = before.offsetTop - rows[0].offsetTop;
        if (top > 4)                    // read further down: stay there
            this.box.scrollTop = top + height;
        else if (slides && motion.matches && !document.hidden)
            this.list.animate([{transform: `translateY(${-height}px)`},
                               {transform: 'none'}],
                              {duration: 180, easing: 'ease-out'});
    }

    row(hit) {
        const row = make('button', 'row');
        row.type = 'button';
        row.tabIndex = -1;
        const main = make('span', 'main', element(hit.time, true),
                          isolate(short(place(hit.page) || '–', 300),
                                  'page'));
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
                    element(now()), make('span', '', item.mark));
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
        if (to === undefined || at < 0)
            return;
        event.preventDefault();
        rows[Math.max(0, Math.min(rows.length - 1, to))].focus();
    }
}
