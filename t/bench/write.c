/*
 * The least that a log could cost: write(2) of a file's bytes, 64 KiB at a
 * time, from memory to a new file.
 *
 *     write FROM TO       prints the nanoseconds between open and close, and
 *                         those of CPU time
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WRITE_SIZE  65536

static void
write_die(const char *what)
{
    fprintf(stderr, "write: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t
write_now(clockid_t clock)
{
    struct timespec  ts;

    clock_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}

/* The file, copied into memory that is already there. */
static uint8_t *
write_read(const char *name, size_t *size)
{
    int          fd;
    size_t       got;
    ssize_t      n;
    uint8_t     *bytes;
    struct stat  st;

    fd = open(name, O_RDONLY);

    if (fd == -1 || fstat(fd, &st) == -1) {
        write_die(name);
    }

    *size = (size_t) st.st_size;
    bytes = mmap(NULL, *size + 1, PROT_READ|PROT_WRITE,
                 MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE, -1, 0);

    if (bytes == MAP_FAILED) {
        write_die("mmap");
    }

    for (got = 0; got < *size; got += (size_t) n) {
        n = read(fd, bytes + got, *size - got);

        if (n <= 0) {
            write_die(name);
        }
    }

    close(fd);
    return bytes;
}

int
main(int argc, char **argv)
{
    int       fd;
    size_t    size, done, part;
    uint8_t  *bytes;
    uint64_t  start, cpu;

    if (argc != 3) {
        fprintf(stderr, "usage: write FROM TO\n");
        return 1;
    }

    bytes = write_read(argv[1], &size);
    start = write_now(CLOCK_MONOTONIC);
    cpu = write_now(CLOCK_PROCESS_CPUTIME_ID);
    fd = open(argv[2], O_WRONLY|O_CREAT|O_EXCL|O_APPEND, 0600);

    if (fd == -1) {
        write_die(argv[2]);
    }

    for (done = 0; done < size; done += part) {
        part = size - done < WRITE_SIZE ? size - done : WRITE_SIZE;

        if (write(fd, bytes + done, part) != (ssize_t) part) {
            write_die(argv[2]);
        }
    }

    close(fd);
    printf("%" PRIu64 " %" PRIu64 "\n", write_now(CLOCK_MONOTONIC) - start,
           write_now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
