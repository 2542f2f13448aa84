/*
 * Inside beacon.json's reader: complaints, and members of objects, for
 * beacond_conf.c and for each type of sink's own part.
 */

#ifndef BEACOND_CONF_CHECK_H
#define BEACOND_CONF_CHECK_H

#include "beacond_conf.h"

/* Where complaints go, and whether one was more than a warning. */
typedef struct {
    beacond_conf_say_pt  say;
    void                *data;
    const char          *at;
    bool                 failed;
} beacond_conf_check_t;

void beacond_conf_fail(beacond_conf_check_t *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void beacond_conf_warn(beacond_conf_check_t *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A member: an absent one is NULL, "absent", false; a wrong one is told. */
const char *beacond_conf_string(beacond_conf_check_t *check,
    const json_t *object, const char *key, bool required);
int64_t beacond_conf_integer(beacond_conf_check_t *check,
    const json_t *object, const char *key, int64_t absent, int64_t min,
    int64_t max);
bool beacond_conf_bool(beacond_conf_check_t *check, const json_t *object,
    const char *key);

/* 1: path is dir, or lies below it. */
bool beacond_conf_inside(const char *path, size_t len, const char *dir);

/* 1: absolute, without ".", ".." and double slashes, so that two can be
   compared as text. */
bool beacond_conf_plain_path(const char *path);

/* The own parts of sinks, one for each type. */
void beacond_conf_check_log(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf);
void beacond_conf_check_kafka(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf);
void beacond_conf_check_spy(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf);
void beacond_conf_check_live(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf);
void beacond_conf_check_collect(beacond_conf_check_t *check,
    const json_t *sink, const beacond_conf_t *conf);
void beacond_conf_check_ids(beacond_conf_check_t *check, const json_t *sink,
    const beacond_conf_t *conf);

#endif /* BEACOND_CONF_CHECK_H */
