// Hits a minute over the last 30, by dygraphs, which draws; the newest grows.
import {now, time} from './clock.js';
import {$, hits, number, painted, say} from './text.js';

const MINUTES = 30;
const MINUTE = 60000;
const RETRY = 5000;                     // ms until the library is asked again

export class Chart {
    constructor() {
        this.element = $('chart');
        this.steps = new Map();         // s -> hits of the 10 s from then on
        this.colours = {};
        new MutationObserver(() => this.restyle()).observe(
            document.documentElement, {attributeFilter: ['data-theme']});
    }

    clear() {
        this.steps.clear();
        if (this.graph)
            this.draw();
    }

    // series of now: it is right for the time it covers.
    take(series) {
        const from = Date.parse(series.start) / 1000;
        const covered = from + series.step * series.hits.length;
        series.hits.forEach((n, i) => {
            this.steps.set(from + i * series.step, n);
        });
        for (const start of this.steps.keys())
            if (start < covered - (MINUTES + 2) * 60)
                this.steps.delete(start);
        this.draw();
    }

    // fresh: hits since the last take().
    minutes(fresh) {
        const newest = Math.floor(now() / MINUTE) * MINUTE;
        const rows = [];
        for (let i = MINUTES - 1; i >= 0; i--)
            rows.push([newest - i * MINUTE, 0]);
        for (const [start, n] of this.steps) {
            const at = MINUTES - 1
                - (newest - Math.floor(start / 60) * MINUTE) / MINUTE;
            if (at >= 0 && at < MINUTES)
                rows[at][1] += n;
        }
        rows[MINUTES - 1][1] += fresh;
        return rows;
    }

    draw(fresh = 0) {
        const rows = this.minutes(fresh);
        const key = rows.join();
        // hidden, it would have no size
        if (key === this.key || !this.load() || !this.element.clientWidth)
            return;
        this.key = key;
        this.rows = rows;
        const most = Math.max(...rows.map(row => row[1]));
        const options = {
            file: rows,
            dateWindow: [rows[0][0] - MINUTE / 2,
                         rows[MINUTES - 1][0] + MINUTE / 2],
            valueRange: [0, Math.max(4, most * 1.12)]
        };
        if (this.graph)
            this.graph.updateOptions(options);
        else
            this.create(options);
        this.describe(rows, most);
    }

    // The library comes after the first numbers.
    load() {
        if (window.Dygraph)
            return true;
        if (!this.script) {
            this.script = document.createElement('script');
            this.script.src = 'dygraph.js';
            this.script.onload = () => this.draw();
            this.script.onerror = () => setTimeout(() => {
                this.script.remove();
                this.script = null;     // the next drawing asks again
            }, RETRY);
            painted().then(() => document.head.append(this.script));
        }
        return false;
    }

    create(options) {
        this.colour();
        // its legend would need inline styles
        const {Axes, Grid} = window.Dygraph.Plugins;
        window.Dygraph.PLUGINS = [Axes, Grid];
        this.graph = new window.Dygraph(this.element, options.file, {
            ...options,
            labels: ['minute', 'hits'],
            plotter: plot => this.plot(plot),
            interactionModel: {},
            showLabelsOnHighlight: false,
            highlightCircleSize: 0,
            gridLineWidth: 1,
            axisLineWidth: 0.01,
            axisLineColor: 'transparent',
            rightGap: 2,
            axes: {
                x: {drawGrid: false, axisLabelWidth: 48, ticker: ticks},
                y: {axisLabelWidth: 38, includeZero: true,
                    pixelsPerLabel: 28,
                    axisLabelFormatter: n => Number.isInteger(n)
                        ? number(n) : ''}
            },
            gridLineColor: this.colours.line,
            highlightCallback: (event, x) => this.point(x),
            unhighlightCallback: () => this.point(null)
        });
        const parent = this.element.parentElement;
        new ResizeObserver(() => {
            if (parent.clientWidth)
                this.graph.resize(parent.clientWidth, parent.clientHeight);
        }).observe(parent);
    }

    colour() {
        const style = getComputedStyle(document.documentElement);
        for (const name of ['accent', 'bar', 'line', 'text'])
            this.colours[name] = style.getPropertyValue('--' + name).trim();
    }

    restyle() {
        if (!this.graph)
            return;
        this.colour();
        this.graph.updateOptions({gridLineColor: this.colours.line});
    }

    // Bars; the minute that grows, and the one pointed at, in the accent.
    plot({points, drawingContext: context, dygraph}) {
        const base = dygraph.toDomYCoord(0);
        const width = points.length > 1
            ? points[1].canvasx - points[0].canvasx : 10;
        const bar = Math.max(2, Math.min(width - 2, width * 0.72));
        for (const point of points) {
            const newest = point.xval === this.rows[MINUTES - 1][0];
            const height = Math.max(point.yval ? 2 : 1,
                                    base - point.canvasy);
            context.fillStyle = newest || point.xval === this.at
                ? this.colours.accent : this.colours.bar;
            context.beginPath();
            context.roundRect(point.canvasx - bar / 2, base - height, bar,
                              height, [Math.min(3, bar / 2, height),
                                       Math.min(3, bar / 2, height), 0, 0]);
            context.fill();
        }
    }

    point(x) {
        if (this.at === x)
            return;
        this.at = x;
        const row = this.rows.find(one => one[0] === x);
        say($('chart-said'), row ? time(x, false) + ' – '
            + time(x + MINUTE, false) + '   ' + hits(row[1]) : '');
        this.graph.updateOptions({});
    }

    // In words, once a minute.
    describe(rows, most) {
        const newest = rows[MINUTES - 1][0];
        if (newest === this.described)
            return;
        this.described = newest;
        const whole = rows.slice(0, -1).map(row => row[1]);
        this.element.setAttribute('aria-label',
            'Hits a minute, last 30 minutes: between '
            + number(Math.min(...whole)) + ' and ' + number(most)
            + '; in the last whole minute ' + number(whole.at(-1)));
    }
}

// Every five or ten minutes of the viewer's clock.
function ticks(from, to, width) {
    const found = [];
    const offset = new Date(to).getTimezoneOffset() * MINUTE;
    const step = (width < 480 ? 10 : 5) * MINUTE;
    for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to;
         at += step)
        if (at > from + MINUTE && at < to - MINUTE)
            found.push({v: at, label: time(at, false)});
    return found;
}
