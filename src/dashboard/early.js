// Before the first paint: the colours, so that nothing flashes; and the first
// questions, so that their answers are on the way while the page is read.
'use strict';
{
    const root = document.documentElement;
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const colours = () => {
        let theme = '';
        try {
            theme = localStorage.getItem('beacon-theme');
        } catch {
            // storage is off: the system's colours
        }
        root.dataset.theme = theme === 'light' || theme === 'dark' ? theme
            : dark.matches ? 'dark' : 'light';
    };
    colours();
    dark.addEventListener('change', colours);

    const query = new URLSearchParams(location.search);
    const site = query.get('site');
    const base = 'v1/' + encodeURIComponent(site) + '/';
    const urls = !site ? ['v1/sites'] : [base + 'now?window=300'];
    if (site && !query.get('filter'))
        urls.push(base + 'hits?limit=60&fields=row');
    // api.js takes them by their address; what fails is asked again
    window.early = {};
    if (!document.hidden)
        for (const url of urls)
            window.early[url] = {
                sent: performance.now(),
                answer: fetch(url, {
                    cache: 'no-store', redirect: 'manual',
                    signal: AbortSignal.timeout?.(4000)
                }).catch(() => null)
            };
}
