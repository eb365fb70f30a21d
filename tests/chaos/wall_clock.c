/*
 * wall_clock.c — a wall clock that jumps, for a program that is started with this before libc (LD_PRELOAD).
 *
 * Way:  tests
 *
 * WALL_CLOCK names a file of eight bytes, a number: so many seconds are added to what the day is. Timers go on evenly. A wait of
 * C11 until a time of day, as librdkafka has them, lasts until this clock shows it, as the kernel would have it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NS  100000000L /* a jump is noticed after it by those who wait */
#define SECOND_NS 1000000000L

static const _Atomic int64_t *jump;
static int (*next_wait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WALL_CLOCK");
    int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file >= 0 ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;

    if (file >= 0)
        close(file);
    if (page != MAP_FAILED)
        jump = page;
}

static time_t jumped_s(void)
{
    return jump != NULL ? (time_t)atomic_load(jump) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*next)(clockid_t, struct timespec *);

    if (next == NULL)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");

    int result = next(clock, now);

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jumped_s();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact = {0};

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

static bool is_before(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec < other->tv_sec || (one->tv_sec == other->tv_sec && one->tv_nsec < other->tv_nsec);
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    if (next_wait == NULL)
        next_wait = (int (*)(cnd_t *, mtx_t *, const struct timespec *))dlsym(RTLD_NEXT, "cnd_timedwait");
    for (;;) {
        struct timespec now = {0}, end = {0};

        clock_gettime(CLOCK_REALTIME, &now);
        end =
            (struct timespec){now.tv_sec + (now.tv_nsec + SLICE_NS) / SECOND_NS, (now.tv_nsec + SLICE_NS) % SECOND_NS};
        if (is_before(until, &end))
            end = *until;
        end.tv_sec -= jumped_s();

        int result = next_wait(condition, mutex, &end);

        clock_gettime(CLOCK_REALTIME, &now);
        if (result != thrd_timedout || !is_before(&now, until))
            return result;
    }
}
