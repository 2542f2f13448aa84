// Before the first paint, so that nothing flashes.
'use strict';
try {
    const theme = localStorage.getItem('beacon-theme');
    if (theme === 'light' || theme === 'dark')
        document.documentElement.dataset.theme = theme;
} catch {
    // storage is off: the system's colours
}
