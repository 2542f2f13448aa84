/*
 * LD_PRELOAD=no_threads.so: pthread_create() fails with EAGAIN while the file
 * named by NO_THREADS is there, as where a limit of threads is met.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*no_threads_pt)(pthread_t *, const pthread_attr_t *,
    void *(*)(void *), void *);

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*run)(void *), void *data)
{
    void           *next;
    const char     *name = getenv("NO_THREADS");
    no_threads_pt   create;

    if (name != NULL && access(name, F_OK) == 0) {
        return EAGAIN;
    }

    next = dlsym(RTLD_NEXT, "pthread_create");
    __builtin_memcpy(&create, &next, sizeof(create));

    return create(thread, attr, run, data);
}
