/*
 * store_file_remove.c — removes an object that is a file, off the loop.
 *
 * Way:  remove -> [store_file]
 */
#include "consumer/store_file_remove.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/errmap.h"

#define ASK_MAGIC 0x46415352u

struct rb_ask {
    uint32_t magic;
    uv_work_t work;
    int root_fd; /* its own: the store may be closed meanwhile */
    char *folder;
    char *name;
    int failed_errno; /* 0 when it went well */
    bool forgotten;
    enum rb_poll state;
    struct rb_error error;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

/* On the pool. Synced, because what is gone must not be there again after a crash: nobody would look for it any more. */
static void on_work(uv_work_t *work)
{
    struct rb_ask *ask = RB_CAST(rb_ask, work->data, ASK_MAGIC);
    int fd = rb_beneath_open(ask->root_fd, ask->folder, O_RDONLY | O_DIRECTORY);
    bool done = fd >= 0 && (unlinkat(fd, ask->name, 0) == 0 || errno == ENOENT) && fsync(fd) == 0;

    ask->failed_errno = done || (fd < 0 && errno == ENOENT) ? 0 : errno;
    if (fd >= 0)
        close(fd);
}

static void ask_free(struct rb_ask *ask)
{
    if (ask->root_fd >= 0)
        close(ask->root_fd);
    free(ask->folder);
    free(ask->name);
    ask->magic = 0;
    free(ask);
}

static void on_worked(uv_work_t *work, int status)
{
    struct rb_ask *ask = RB_CAST(rb_ask, work->data, ASK_MAGIC);

    (void)status;
    ask->state = RB_POLL_DONE;
    if (ask->failed_errno != 0) {
        ask->state = RB_POLL_FAILED;
        rb_fail(&ask->error, rb_errmap_store_errno(ask->failed_errno), ask->failed_errno,
                "the file store cannot remove '%.80s': %s", ask->name, strerror(ask->failed_errno));
    }
    if (ask->forgotten)
        ask_free(ask);
    else
        ask->on_change(ask->arg);
}

struct rb_ask *store_file_ask_remove(struct rb_loop *loop, int root_fd, const struct rb_object *object,
                                     rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = rb_xalloc(sizeof(*ask));
    const char *slash = strrchr(object->key, '/');

    *ask = (struct rb_ask){
        .magic = ASK_MAGIC,
        .root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0),
        .folder = slash != NULL ? rb_xprintf("%s/%.*s", object->bucket, (int)(slash - object->key), object->key)
                                : rb_xstrdup(object->bucket),
        .name = rb_xstrdup(slash != NULL ? slash + 1 : object->key),
        .state = RB_POLL_WAIT,
        .on_change = on_change,
        .arg = arg,
    };
    ask->work.data = ask;
    if (uv_queue_work(rb_loop_uv(loop), &ask->work, on_work, on_worked) < 0)
        RB_BUG("libuv takes no work");
    return ask;
}

enum rb_poll store_file_ask_answer(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err)
{
    if (ask->state == RB_POLL_DONE)
        *ret_answer = (struct rb_store_answer){.bytes = -1};
    else if (ask->state == RB_POLL_FAILED)
        *err = ask->error;
    return ask->state;
}

void store_file_ask_forget(struct rb_ask *ask)
{
    if (ask->state == RB_POLL_WAIT)
        ask->forgotten = true;
    else
        ask_free(ask);
}
