/*
 * mock_kafka BROKERS: librdkafka's mock cluster, for errors that a real one
 * will not give on demand.  Prints its bootstrap servers, then does what its
 * standard input says, one line each, and answers "ok" or "error ...":
 *
 *     topic NAME PARTITIONS
 *     push API ERROR...           the next answers to requests of that number
 *                                 (0: Produce, 22: InitProducerId); 0: none
 *     clear API                   what is left of those
 *     topic_error NAME ERROR
 *     lead NAME PARTITION BROKER
 *     rtt BROKER MS
 *     down BROKER, up BROKER
 *     read NAME FILE              every value, one a line
 */

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOCK_ERRORS    256
#define MOCK_PATIENT_MS  60000          /* for what must come */

static rd_kafka_mock_cluster_t  *mock_cluster;

static rd_kafka_resp_err_t
mock_push(char *words)
{
    int                   api;
    char                 *word;
    size_t                n = 0;
    rd_kafka_resp_err_t   errors[MOCK_ERRORS];

    word = strtok(words, " ");
    api = word ? atoi(word) : 0;

    while (n < MOCK_ERRORS && (word = strtok(NULL, " ")) != NULL) {
        errors[n++] = (rd_kafka_resp_err_t) atoi(word);
    }

    rd_kafka_mock_push_request_errors_array(mock_cluster, (int16_t) api, n,
                                            errors);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_t *
mock_client(rd_kafka_type_t type)
{
    char              why[256];
    rd_kafka_t       *rk;
    rd_kafka_conf_t  *conf;

    conf = rd_kafka_conf_new();

    if (type == RD_KAFKA_CONSUMER) {
        (void) rd_kafka_conf_set(conf, "bootstrap.servers",
                   rd_kafka_mock_cluster_bootstraps(mock_cluster), why,
                   sizeof(why));
        (void) rd_kafka_conf_set(conf, "group.id", "mock", why, sizeof(why));
        (void) rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", why,
                                 sizeof(why));
    }

    rk = rd_kafka_new(type, conf, why, sizeof(why));

    if (rk == NULL) {
        fprintf(stderr, "mock_kafka: %s\n", why);
        exit(1);
    }

    return rk;
}

static rd_kafka_resp_err_t
mock_read(const char *name, const char *path)
{
    FILE                             *file;
    int64_t                           low, high;
    rd_kafka_t                       *rk;
    rd_kafka_message_t               *message;
    rd_kafka_resp_err_t               error;
    rd_kafka_topic_partition_list_t  *list;

    file = fopen(path, "w");

    if (file == NULL) {
        return RD_KAFKA_RESP_ERR__FS;
    }

    rk = mock_client(RD_KAFKA_CONSUMER);
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, 0)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);

    /* silence is no end: a busy machine makes some, too */

    error = rd_kafka_query_watermark_offsets(rk, name, 0, &low, &high,
                                             MOCK_PATIENT_MS);

    while (error == RD_KAFKA_RESP_ERR_NO_ERROR && low < high) {
        message = rd_kafka_consumer_poll(rk, MOCK_PATIENT_MS);

        if (message == NULL) {
            error = RD_KAFKA_RESP_ERR__TIMED_OUT;
            break;
        }

        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            fwrite(message->payload, 1, message->len, file);
            fputc('\n', file);
            low = message->offset + 1;
        }

        rd_kafka_message_destroy(message);
    }

    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    fclose(file);

    return error;
}

static rd_kafka_resp_err_t
mock_obey(const char *op, char *rest)
{
    int   a, b;
    char  name[256], path[4096];

    if (strcmp(op, "push") == 0) {
        return mock_push(rest);
    }

    if (strcmp(op, "clear") == 0) {
        rd_kafka_mock_clear_request_errors(mock_cluster,
                                           (int16_t) atoi(rest));
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }

    if (strcmp(op, "topic") == 0 && sscanf(rest, "%255s %d", name, &a) == 2) {
        return rd_kafka_mock_topic_create(mock_cluster, name, a, 1);
    }

    if (strcmp(op, "topic_error") == 0
        && sscanf(rest, "%255s %d", name, &a) == 2)
    {
        rd_kafka_mock_topic_set_error(mock_cluster, name,
                                      (rd_kafka_resp_err_t) a);
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }

    if (strcmp(op, "lead") == 0
        && sscanf(rest, "%255s %d %d", name, &a, &b) == 3)
    {
        return rd_kafka_mock_partition_set_leader(mock_cluster, name, a, b);
    }

    if (strcmp(op, "rtt") == 0 && sscanf(rest, "%d %d", &a, &b) == 2) {
        return rd_kafka_mock_broker_set_rtt(mock_cluster, a, b);
    }

    if (strcmp(op, "down") == 0 && sscanf(rest, "%d", &a) == 1) {
        return rd_kafka_mock_broker_set_down(mock_cluster, a);
    }

    if (strcmp(op, "up") == 0 && sscanf(rest, "%d", &a) == 1) {
        return rd_kafka_mock_broker_set_up(mock_cluster, a);
    }

    if (strcmp(op, "read") == 0
        && sscanf(rest, "%255s %4095s", name, path) == 2)
    {
        return mock_read(name, path);
    }

    return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

int
main(int argc, char *argv[])
{
    char                 line[8192], *rest;
    rd_kafka_t          *rk;
    rd_kafka_resp_err_t  error;

    rk = mock_client(RD_KAFKA_PRODUCER);
    mock_cluster = rd_kafka_mock_cluster_new(rk, argc > 1 ? atoi(argv[1]) : 1);

    printf("%s\n", rd_kafka_mock_cluster_bootstraps(mock_cluster));
    fflush(stdout);

    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        rest = line + strcspn(line, " ");

        if (*rest != '\0') {
            *rest++ = '\0';
        }

        error = mock_obey(line, rest);
        printf("%s%s\n", error ? "error " : "ok",
               error ? rd_kafka_err2str(error) : "");
        fflush(stdout);
    }

    rd_kafka_mock_cluster_destroy(mock_cluster);
    rd_kafka_destroy(rk);

    return 0;
}
