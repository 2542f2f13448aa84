/* The Test Anything Protocol, as much of it as unit tests need. */

#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_count;
static int tap_failed;

/* One test; the name is a sentence, words joined by underscores or spaces. */
#define ok(cond, ...)  tap_ok((cond) ? 1 : 0, #cond, __FILE__, __LINE__,      \
                              __VA_ARGS__)

__attribute__((format(printf, 5, 6), unused))
static int
tap_ok(int good, const char *what, const char *file, int line,
    const char *fmt, ...)
{
    va_list  args;

    printf("%sok %d - ", good ? "" : "not ", ++tap_count);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");

    if (!good) {
        tap_failed++;
        printf("# %s:%d: %s\n", file, line, what);
    }

    fflush(stdout);
    return good;
}

/* The plan; main() returns it. */
__attribute__((unused))
static int
done_testing(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed ? 1 : 0;
}

#endif /* TAP_H */
