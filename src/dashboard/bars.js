// The top lists: pages, referrers, countries, campaigns.
import {has} from './filter.js';
import {$, country, isolate, make, motion} from './text.js';
import {number, place, say, short} from './text.js';

const KINDS = ['page', 'referrer', 'country', 'campaign'];
const NOTHING = {
    page: 'No pages in the last 5 min.',
    referrer: 'No referrers in the last 5 min. A hit names its own in the '
        + 'argument ref.',
    country: 'No countries in the last 5 min. beacon_field country says where '
        + 'they come from.',
    campaign: 'No campaigns in the last 5 min. They are the utm_ arguments of '
        + 'a page’s address.'
};
const BARS = 12;

const wide = matchMedia('(min-width: 1700px) and (min-height: 800px)');

export class Bars {
    // choose(kind, key): a bar was clicked
    constructor(choose) {
        this.panels = {};
        this.rows = {};                 // kind -> key -> row
        this.filter = '';
        this.chosen = KINDS[0];
        for (const kind of KINDS) {
            const panel = $('top-' + kind);
            const list = make('ul', 'bars');
            panel.append(make('h3', '', $('tab-' + kind).textContent), list,
                         make('p', 'blank', NOTHING[kind]));
            this.panels[kind] = {panel, list};
            this.rows[kind] = new Map();
            panel.addEventListener('click', event => {
                const row = event.target.closest('button');
                if (row)
                    choose(kind, row.key);
            });
            $('tab-' + kind).addEventListener('click',
                                              () => this.select(kind));
        }
        $('tabs').addEventListener('keydown', event => this.key(event));
        wide.addEventListener('change', () => this.select(this.chosen));
        this.select(this.chosen);
    }

    // All four at once where there is room; they are no tabs then.
    select(kind) {
        this.chosen = kind;
        $('tabs').parentElement.classList.toggle('all', wide.matches);
        for (const one of KINDS) {
            const {panel} = this.panels[one];
            const tab = $('tab-' + one);
            const on = one === kind;
            tab.setAttribute('aria-selected', on);
            tab.tabIndex = on ? 0 : -1;
            panel.hidden = !on && !wide.matches;
            if (wide.matches)
                panel.removeAttribute('role');
            else
                panel.setAttribute('role', 'tabpanel');
            panel.setAttribute('aria-labelledby', tab.id);
        }
        $('tabs').hidden = wide.matches;
    }

    key(event) {
        const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        if (!step)
            return;
        const at = KINDS.indexOf(this.chosen) + step + KINDS.length;
        this.select(KINDS[at % KINDS.length]);
        $('tab-' + this.chosen).focus();
    }

    clear() {
        this.show({});
    }

    show(top) {
        for (const kind of KINDS)
            this.list(kind, (top[kind] || []).slice(0, BARS));
    }

    // Rows keep their place while somebody points at them, or walks through
    // them by keys.
    list(kind, entries) {
        const {panel, list} = this.panels[kind];
        const rows = this.rows[kind];
        const most = Math.max(1, ...entries.map(entry => entry.n));
        const keys = new Set(entries.map(entry => entry.key));
        const held = list.matches(':hover')
            || list.querySelector(':focus-visible') !== null;
        const order = entries.map(entry => entry.key);
        const moves = order.some((key, i) => list.children[i]?.key !== key)
            || rows.size !== order.length;
        const places = new Map();
        for (const [key, row] of rows) {
            if (moves && motion.matches && !panel.hidden)
                places.set(row, row.item.offsetTop);
            if (keys.has(key))
                continue;
            if (held && rows.size <= 2 * BARS) {
                this.set(row, 0, most);
            } else {
                row.item.remove();
                rows.delete(key);
            }
        }
        entries.forEach(({key, n}, i) => {
            let row = rows.get(key);
            if (!row) {
                row = this.row(kind, key);
                rows.set(key, row);
                list.append(row.item);
            }
            this.set(row, n, most);
            if (!held && list.children[i] !== row.item)
                list.insertBefore(row.item, list.children[i]);
        });
        panel.classList.toggle('none', !rows.size);
        this.slide(places);
        if (moves)
            this.press(kind);
    }

    row(kind, key) {
        const button = make('button', 'bar');
        button.type = 'button';
        button.key = key;
        const name = kind === 'country' ? country(key) : '';
        const label = make('span', 'label', isolate(short(name
            || place(key), 200)));
        if (name)
            label.append(make('span', 'code', isolate(key)));
        label.title = key;
        const fill = make('span', 'fill');
        const count = make('span', 'n');
        button.append(fill, label, count);
        const item = make('li', '', button);
        item.key = key;
        return {button, fill, count, item};
    }

    // Hundredths: what nobody sees moves nothing.
    set(row, n, most) {
        say(row.count, number(n));
        const scale = Math.ceil(100 * n / most) / 100;
        if (row.scale !== scale)
            row.fill.style.transform = `scaleX(${row.scale = scale})`;
    }

    slide(places) {
        for (const [row, top] of places) {
            const moved = row.item.isConnected
                ? top - row.item.offsetTop : 0;
            if (moved)
                row.item.animate([{transform: `translateY(${moved}px)`},
                                  {transform: 'none'}],
                                 {duration: 200, easing: 'ease-out'});
        }
    }

    // Which of them the filter has.
    mark(filter) {
        this.filter = filter;
        KINDS.forEach(kind => this.press(kind));
    }

    press(kind) {
        for (const [key, row] of this.rows[kind])
            row.button.setAttribute('aria-pressed',
                                    has(this.filter, kind, key));
    }
}
