// The choice of a site, from one or from thousands.
import {$, make, number, say} from './text.js';

const SHOWN = 50;

export class Picker {
    // choose(site); load(): a promise of what the server lists
    constructor(choose, load) {
        this.choose = choose;
        this.load = load;
        this.sites = [];
        this.at = 0;
        this.chosen = '';               // by keys
        this.button = $('site');
        this.pop = $('site-pop');
        this.find = $('site-find');
        this.list = $('site-list');
        this.button.addEventListener('click', () => this.pop.hidden
            ? this.open() : this.close());
        // the field keeps the focus, or its loss would close what a click is
        // about to close
        for (const element of [this.button, $('site-list')])
            element.addEventListener('mousedown', event => {
                event.preventDefault();
            });
        this.button.addEventListener('keydown', event => {
            if (event.key === 'ArrowDown') {
                event.preventDefault();
                this.open();
            }
        });
        this.find.addEventListener('input', () => {
            this.chosen = '';
            this.show();
        });
        this.find.addEventListener('keydown', event => this.key(event));
        this.list.addEventListener('click', event => {
            const item = event.target.closest('li');
            if (item)
                this.take(item.site);
        });
        this.pop.addEventListener('focusout', event => {
            if (!this.pop.contains(event.relatedTarget))
                this.close(false);
        });
    }

    name(site) {
        this.site = site;
        say($('site-name'), site || 'no site');
        this.button.setAttribute('aria-label', site ? 'Site: ' + site
                                                    : 'Site');
    }

    async open() {
        this.pop.hidden = false;
        this.button.setAttribute('aria-expanded', 'true');
        this.find.value = this.chosen = '';
        this.find.focus();
        this.fault = 'loading';
        this.show();
        try {
            this.sites = await this.load();
            this.fault = '';
        } catch {                       // the list we have
            this.fault = 'the list cannot be had now';
        }
        if (!this.pop.hidden)
            this.show();
    }

    close(back = true) {
        this.pop.hidden = true;
        this.button.setAttribute('aria-expanded', 'false');
        this.find.removeAttribute('aria-activedescendant');
        if (back)
            this.button.focus();
    }

    take(site) {
        this.close();
        this.choose(site);
    }

    show() {
        const part = this.find.value.trim().toLowerCase();
        const found = this.sites.filter(
            one => one.site.toLowerCase().includes(part));
        // those that begin so first, then who is busiest
        found.sort((a, b) => begins(b, part) - begins(a, part)
            || b.visitors - a.visitors || b.hits - a.hits
            || (a.site < b.site ? -1 : 1));
        this.list.replaceChildren(...found.slice(0, SHOWN).map((one, i) => {
            const item = make('li', '', make('span', 'name', one.site),
                              make('span', 'n', number(one.visitors || 0)));
            item.id = 'site-' + i;
            item.site = one.site;
            item.setAttribute('role', 'option');
            item.title = number(one.visitors || 0) + ' visitors now';
            return item;
        }));
        const rest = found.length - SHOWN;
        say($('site-more'), !found.length
            ? this.fault || 'no such site'
            : rest > 0 ? 'and ' + number(rest) + ' more: type to find one'
                : 'visitors now at the right');
        const site = this.chosen || !part && this.site;
        this.mark(found.slice(0, SHOWN).findIndex(one => one.site === site));
    }

    mark(at) {
        const items = this.list.children;
        this.at = Math.max(0, Math.min(items.length - 1, at));
        [...items].forEach((item, i) => {
            item.setAttribute('aria-selected', i === this.at);
        });
        const item = items[this.at];
        if (item) {
            this.find.setAttribute('aria-activedescendant', item.id);
            item.scrollIntoView({block: 'nearest'});
        } else {
            this.find.removeAttribute('aria-activedescendant');
        }
    }

    key(event) {
        const step = {ArrowDown: 1, ArrowUp: -1, PageDown: 10,
                      PageUp: -10}[event.key];
        if (step) {
            event.preventDefault();
            this.mark(this.at + step);
            this.chosen = this.list.children[this.at]?.site;
        } else if (event.key === 'Enter') {
            event.preventDefault();
            const item = this.list.children[this.at];
            if (item)
                this.take(item.site);
        } else if (event.key === 'Escape') {
            event.preventDefault();
            this.close();
        }
    }
}

const begins = (one, part) => one.site.toLowerCase().startsWith(part) ? 1 : 0;
