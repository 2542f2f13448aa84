/*
 * What is told of a sink that lags, and then not: each once a minute, and the
 * last of them always, if a minute later, and how often it was so.
 */

#include "beacond_parts.h"
#include "tap.h"

#include <string.h>
#include <unistd.h>

static int   tell_pipe[2];
static char  tell_text[4096];

/* What is said when it is so. */
static const char *
tell(beacond_engine_t *engine, bool spooling)
{
    ssize_t  n;

    engine->spooling_untold += spooling && !engine->spooling;
    engine->spooling = spooling;
    beacond_spooler_tell(engine);
    beacond_log(BEACOND_NOTICE, ".");
    n = read(tell_pipe[0], tell_text, sizeof(tell_text) - 1);

    if (n < 0) {
        n = 0;
    }

    tell_text[n] = '\0';

    return tell_text;
}

static void
tell_minute(beacond_engine_t *engine)
{
    engine->spooling_limit[0].next_ms = 1;
    engine->spooling_limit[1].next_ms = 1;
}

int
main(void)
{
    int                i, said;
    beacond_engine_t  *engine;

    engine = calloc(1, sizeof(beacond_engine_t));

    if (engine == NULL || pipe(tell_pipe) == -1
        || dup2(tell_pipe[1], STDERR_FILENO) == -1)
    {
        printf("Bail out! no pipe\n");
        return 2;
    }

    ok(strstr(tell(engine, true), "a sink lags: spooling\n") != NULL,
       "that_a_sink_lags_is_told");
    ok(strstr(tell(engine, false), "no sink lags: not spooling\n") != NULL,
       "that_none_does_is_told");

    said = 0;

    for (i = 0; i < 3; i++) {
        said += strstr(tell(engine, true), "lags") != NULL;
        said += strstr(tell(engine, false), "lags") != NULL;
    }

    ok(said == 0, "no_more_in_a_minute");

    tell_minute(engine);
    ok(strstr(tell(engine, false), "lags") == NULL,
       "what_was_told_last_is_so_still");

    ok(strstr(tell(engine, true), "spooling (so it was 3 times more since "
                                  "this was told last)\n") != NULL,
       "a_minute_later_how_often_is_told");
    ok(strstr(tell(engine, false), "no sink lags: not spooling\n") != NULL,
       "and_that_it_ended");

    (void) tell(engine, true);
    tell_minute(engine);
    ok(strstr(tell(engine, true), "a sink lags: spooling\n") != NULL,
       "the_last_is_told_when_the_minute_is_over");
    ok(strstr(tell(engine, true), "lags") == NULL, "once");

    free(engine);

    return done_testing();
}
