#include "beacond_visitor.h"
#include "beacon_random.h"
#include "beacon_siphash.h"
#include "beacond_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BEACOND_VISITOR_TEXT  (2 * BEACOND_VISITOR_KEY + 1)

/* One sink at a time makes the host's. */
static pthread_mutex_t  beacond_visitor_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Its bytes, at most size; -1 with errno. */
static ssize_t
beacond_visitor_read(const char *file, uint8_t *buf, size_t size)
{
    int      fd, error;
    ssize_t  n;

    fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return -1;
    }

    n = read(fd, buf, size);
    error = errno;
    close(fd);
    errno = error;

    return n;
}

static beacon_rc_t
beacond_visitor_fleet(const char *file, uint8_t *key, beacon_err_t *err)
{
    uint8_t       buf[BEACOND_VISITOR_MAX + 1];
    ssize_t       n;
    unsigned      i;
    uint64_t      hash;
    beacon_str_t  text;

    static const uint8_t  fixed[2][16] = { "beacon visitor 1",
                                           "beacon visitor 2" };

    n = beacond_visitor_read(file, buf, sizeof(buf));

    if (n < 0) {
        beacon_err(err, "cannot read \"%.150s\": %s", file, strerror(errno));
        return BEACON_SYS;
    }

    while (n > 0 && n <= BEACOND_VISITOR_MAX
           && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
    {
        n--;
    }

    if (n < BEACOND_VISITOR_MIN || n > BEACOND_VISITOR_MAX) {
        beacon_err(err, "\"%.150s\" must hold %d to %d bytes to be a key",
                   file, BEACOND_VISITOR_MIN, BEACOND_VISITOR_MAX);
        return BEACON_INVALID;
    }

    text.data = buf;
    text.len = (size_t) n;

    for (i = 0; i < 2; i++) {
        hash = beacon_siphash(fixed[i], &text, 1);
        memcpy(key + i * sizeof(hash), &hash, sizeof(hash));
    }

    explicit_bzero(buf, sizeof(buf));

    return BEACON_OK;
}

static bool
beacond_visitor_parse(const char *text, ssize_t len, uint8_t *key)
{
    int       n;
    unsigned  i;

    if (len != BEACOND_VISITOR_TEXT || text[len - 1] != '\n'
        || strspn(text, "0123456789abcdef") != BEACOND_VISITOR_TEXT - 1)
    {
        return false;
    }

    for (i = 0; i < BEACOND_VISITOR_KEY; i++) {
        if (sscanf(text + 2 * i, "%2hhx%n", &key[i], &n) != 1 || n != 2) {
            return false;
        }
    }

    return true;
}

static beacon_rc_t
beacond_visitor_make(const char *path, uint8_t *key)
{
    char             text[BEACOND_VISITOR_TEXT + 1];
    unsigned         i;
    beacon_random_t  random;

    if (beacon_random_seed(&random) != BEACON_OK) {
        return BEACON_SYS;
    }

    beacon_random_bytes(&random, key, BEACOND_VISITOR_KEY);
    explicit_bzero(&random, sizeof(random));

    for (i = 0; i < BEACOND_VISITOR_KEY; i++) {
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    }

    text[BEACOND_VISITOR_TEXT - 1] = '\n';

    return beacond_file_replace(path, NULL, text, BEACOND_VISITOR_TEXT,
                                false);
}

static beacon_rc_t
beacond_visitor_host(const char *dir, uint8_t *key, beacon_err_t *err)
{
    char         path[PATH_MAX], text[BEACOND_VISITOR_TEXT + 2];
    ssize_t      n;
    beacon_rc_t  rc = BEACON_OK;

    snprintf(path, sizeof(path), "%s/visitor.key", dir);

    pthread_mutex_lock(&beacond_visitor_mutex);

    memset(text, 0, sizeof(text));
    n = beacond_visitor_read(path, (uint8_t *) text, sizeof(text) - 1);

    if (!beacond_visitor_parse(text, n, key)) {
        rc = beacond_visitor_make(path, key);
    }

    if (rc != BEACON_OK) {
        beacon_err(err, "cannot make \"%.150s\": %s", path, strerror(errno));
    }

    pthread_mutex_unlock(&beacond_visitor_mutex);

    return rc;
}

beacon_rc_t
beacond_visitor_key(const char *dir, const char *file,
    uint8_t key[BEACOND_VISITOR_KEY], beacon_err_t *err)
{
    return file != NULL ? beacond_visitor_fleet(file, key, err)
                        : beacond_visitor_host(dir, key, err);
}
