#include "beacond_options.h"
#include "beacon_format.h"
#include "beacond_conf.h"
#include "beacond_dead_letter.h"
#include "beacond_point.h"
#include "beacond_tail.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static void
beacond_help(void)
{
    printf("Usage: beacond -c FILE [--supervised]\n"
           "       beacond -t -c FILE\n"
           "       beacond dead-letter list|retry -c FILE\n"
           "       beacond tail [--site SITE]... [--filter NAME=VALUE]...\n"
           "                    [--json|--short] [--curve FILE] ENDPOINT\n"
           "\n"
           "Drains Beacon's ring into its sinks.\n"
           "\n"
           "  -c FILE       configuration, written by nginx: beacon.json in\n"
           "                the ring's directory; - is standard input\n"
           "  -t            check it, say what is wrong, and leave\n"
           "  --supervised  file descriptor 3 is the supervisor's socket\n"
           "  --points      print where BEACON_KILL_AT=NAME[:N] may kill it\n"
           "  -V            print version\n"
           "  --help        print this\n"
           "\n"
           "dead-letter lists the messages that Kafka refused, as too large\n"
           "mostly: a line of JSON each; or has the helper send them again.\n"
           "\n"
           "tail shows hits as they come from a spy feed's ENDPOINT, such as\n"
           "ipc:///run/beacon/spy.sock: of these sites, or all; those with\n"
           "these arguments. --json prints a hit's whole line, --short what\n"
           "the live API's short form has.\n"
           "\n"
           "Signals: TERM and INT drain for up to 2 s and leave, QUIT up to\n"
           "4 s, USR1 reopens log files, HUP reads the configuration again.\n"
           "Exit codes: 0 done, 1 configuration, 3 another helper runs, 4\n"
           "system: start it again. Of tail and dead-letter: 2 cannot be\n"
           "done; of dead-letter retry 1: some still wait.\n");
}

int
beacond_options(beacond_options_t *o, int argc, char *argv[])
{
    int  c;

    static const struct option  options[] = {
        { "help", no_argument, NULL, 'h' },
        { "points", no_argument, NULL, 'p' },
        { "supervised", no_argument, NULL, 's' },
        { NULL, 0, NULL, 0 }
    };

    if (argc > 2 && (strcmp(argv[1], "dead-letter") == 0
                     || strcmp(argv[1], "tail") == 0)
        && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
    {
        beacond_help();
        return 0;
    }

    if (argc > 1 && strcmp(argv[1], "dead-letter") == 0) {
        return beacond_dead_letter(argc - 1, argv + 1);
    }

    if (argc > 1 && strcmp(argv[1], "tail") == 0) {
        return beacond_tail(argc - 1, argv + 1);
    }

    while ((c = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1) {
        switch (c) {

        case 'c':
            o->file = optarg;
            break;

        case 't':
            o->check = true;
            break;

        case 's':
            o->supervised = true;
            break;

        case 'V':
            printf("beacond %s (ring layouts %d and %d, configurations %d and "
                   "%d)\n", BEACON_VERSION, BEACON_LAYOUT - 1, BEACON_LAYOUT,
                   BEACOND_CONF_VERSION - 1, BEACOND_CONF_VERSION);
            return 0;

        case 'p':
            beacond_point_print(stdout);
            return 0;

        case 'h':
            beacond_help();
            return 0;

        default:
            fprintf(stderr, "beacond: see beacond --help\n");
            return 1;
        }
    }

    if (o->file == NULL || optind != argc) {
        fprintf(stderr, "beacond: -c FILE, and nothing else, must be given; "
                "see beacond --help\n");
        return 1;
    }

    return -1;
}

static void
beacond_say_check(void *data, const char *at, const char *text)
{
    (void) data;

    printf("%s: %s\n", at[0] != '\0' ? at : "beacond", text);
}

int
beacond_check(const char *file)
{
    bool             good;
    beacond_conf_t  *conf;

    conf = beacond_conf_read(file, beacond_say_check, NULL);
    good = (conf != NULL && !conf->flawed);
    beacond_conf_destroy(conf);

    return good ? 0 : 1;
}
