#include "beacon_crc32c.h"
#include "beacon_schema.h"
#include "tap.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char  dir[] = "/dev/shm/beacon-test.XXXXXX";

static beacon_schema_t
example(void)
{
    beacon_schema_t  schema;

    memset(&schema, 0, sizeof(schema));
    schema.edge = beacon_string("web7");
    schema.fields[0] = beacon_string("country");
    schema.fields[1] = beacon_string("page");
    schema.flags[0] = beacon_string("bot");
    schema.nfields = 2;
    schema.nflags = 1;

    return schema;
}

static char *
path(uint32_t hash)
{
    static char  name[256];

    (void) snprintf(name, sizeof(name), "%s/schemas/%08x.json", dir, hash);

    return name;
}

static void
names(void)
{
    static const uint8_t  c1[] = { 'a', 0xc2, 0x85 };
    static const uint8_t  surrogate[] = { 0xed, 0xa0, 0x80 };
    static const uint8_t  overlong[] = { 0xe0, 0x80, 0x80 };
    static const uint8_t  cut[] = { 'a', 0xc3 };
    uint8_t               name[300];

    memset(name, 'x', sizeof(name));

    ok(beacon_schema_name_valid((const uint8_t *) "aZ_9", 4)
       && beacon_schema_name_valid(name, 64),
       "names of 1 to 64 bytes are valid");
    ok(!beacon_schema_name_valid(name, 0)
       && !beacon_schema_name_valid(name, 65)
       && !beacon_schema_name_valid((const uint8_t *) "a-b", 3)
       && !beacon_schema_name_valid((const uint8_t *) "\xc3\xa9", 2),
       "empty, long, and other bytes are not");
    ok(beacon_schema_edge_valid((const uint8_t *) "web-7.\xc3\xa9", 8)
       && beacon_schema_edge_valid(name, 255), "an edge may be UTF-8");
    ok(!beacon_schema_edge_valid(name, 0)
       && !beacon_schema_edge_valid(name, 256)
       && !beacon_schema_edge_valid((const uint8_t *) "a b", 3)
       && !beacon_schema_edge_valid((const uint8_t *) "a\"b", 3)
       && !beacon_schema_edge_valid((const uint8_t *) "a\\b", 3)
       && !beacon_schema_edge_valid((const uint8_t *) "a\x7f", 2)
       && !beacon_schema_edge_valid((const uint8_t *) "a\nb", 3)
       && !beacon_schema_edge_valid(c1, sizeof(c1))
       && !beacon_schema_edge_valid(surrogate, sizeof(surrogate))
       && !beacon_schema_edge_valid(overlong, sizeof(overlong))
       && !beacon_schema_edge_valid(cut, sizeof(cut)),
       "but not what would break a line, a word or JSON");
}

/* Its maker was killed before it gave the directory to the worker user. */
static void
unowned(void)
{
    char             name[300];
    struct stat      st;
    beacon_schema_t  schema;

    if (geteuid() != 0) {
        ok(1, "a directory of root's is not given away # SKIP: not root");
        return;
    }

    schema = example();
    (void) snprintf(name, sizeof(name), "%s/schemas", dir);
    (void) !chown(name, 0, 0);

    ok(beacon_schema_publish(dir, &schema, 1001, 1001, NULL) == BEACON_OK
       && stat(name, &st) == 0 && st.st_uid == 1001 && st.st_gid == 1001,
       "a directory that is still root's is given to the worker user");
}

static void
race(void)
{
    int              i, status, bad;
    pid_t            pids[8];
    beacon_schema_t  schema;

    schema = example();
    schema.edge = beacon_string("race");

    for (i = 0; i < 8; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            _exit(beacon_schema_publish(dir, &schema, (uid_t) -1, (gid_t) -1,
                                        NULL)
                  == BEACON_OK ? 0 : 1);
        }
    }

    for (bad = 0, i = 0; i < 8; i++) {
        bad += waitpid(pids[i], &status, 0) == -1 || status != 0;
    }

    ok(bad == 0, "eight processes publish one schema at the same time");
}

int
main(void)
{
    int              fd, n;
    char             text[16384], command[256];
    size_t           len;
    uint32_t         first;
    struct stat      st;
    beacon_err_t     err;
    beacon_schema_t  schema;

    static const char  expected[] = "{\"v\":1,\"salt\":0,\"edge\":\"web7\","
        "\"fields\":[\"country\",\"page\"],\"flags\":[\"bot\"]}";

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    names();

    schema = example();
    len = beacon_schema_text(&schema, 0, text, sizeof(text));

    ok(len == sizeof(expected) - 1 && memcmp(text, expected, len) == 0,
       "the text is the canonical one");

    ok(beacon_schema_publish(dir, &schema, (uid_t) -1, (gid_t) -1, &err)
       == BEACON_OK, "a schema is published");
    ok(schema.hash == beacon_crc32c(0, text, len), "its hash is its CRC-32C");
    ok(stat(path(schema.hash), &st) == 0 && (st.st_mode & 07777) == 0600
       && (size_t) st.st_size == len, "its file has its text and mode 0600");

    first = schema.hash;
    schema.hash = 0;

    ok(beacon_schema_publish(dir, &schema, (uid_t) -1, (gid_t) -1, &err)
       == BEACON_OK && schema.hash == first, "once more changes nothing");

    fd = open(path(first), O_WRONLY | O_TRUNC);
    n = (int) write(fd, "another", 7);
    (void) close(fd);

    ok(n == 7 && beacon_schema_publish(dir, &schema, (uid_t) -1, (gid_t) -1,
                                       &err)
       == BEACON_OK && schema.hash != first,
       "where another text has the hash, salt makes a new one");
    ok(stat(path(first), &st) == 0 && st.st_size == 7,
       "and the other file is not written to");

    (void) unlink(path(first));
    ok(symlink("/dev/null", path(first)) == 0
       && beacon_schema_publish(dir, &schema, (uid_t) -1, (gid_t) -1, &err)
          == BEACON_OK && schema.hash != first,
       "a symbolic link planted there is not followed");

    schema.fields[0] = beacon_string("a b");
    ok(beacon_schema_publish(dir, &schema, (uid_t) -1, (gid_t) -1, &err)
       == BEACON_INVALID && err.text[0] != '\0',
       "a bad name is refused with a sentence");

    ok(beacon_schema_publish("/nowhere", &(beacon_schema_t) {
           .edge = beacon_string("x") }, (uid_t) -1, (gid_t) -1, &err)
       == BEACON_SYS, "a missing directory is an error of the system");

    race();
    unowned();

    (void) snprintf(command, sizeof(command),
                    "ls -A %s/schemas | grep -q '^\\.'", dir);
    ok(system(command) != 0, "no temporary file is left behind");

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);
    ok(system(command) == 0, "the directory is removed");

    return done_testing();
}
