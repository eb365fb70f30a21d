/*
 * store_file.c — objects as files.
 *
 * Way:  download -> [store_file] -> record
 *
 * A put is a row of steps, one at a time on the pool: open, write (again and again), commit, or drop. While a step is out,
 * the put may be asked to end; it then cleans up after itself when the step comes back.
 */
#include "consumer/store_file.h"

#include <unistd.h>

#include "common/errmap.h"
#include "common/random.h"
#include "consumer/store_file_ask.h"
#include "consumer/store_file_internal.h"

#define WRITE_MIN_BYTES 32768 /* smaller pieces wait for more; far below what a full queue holds */

static void on_worked(uv_work_t *work, int status);

static void put_send(struct rb_put *put, enum put_step step)
{
    put->step = step;
    put->out = true;
    put->failed_errno = 0;
    if (uv_queue_work(rb_loop_uv(put->store->loop), &put->work, file_step, on_worked) < 0)
        RB_BUG("libuv takes no work");
}

/* Send the next step that there is something to do for. */
static void put_go_on(struct rb_put *put)
{
    if (put->out || put->ended || put->state != PUT_WRITING)
        return;
    put->chunk_bytes = rb_byteq_peek(put->queue, &put->chunk);
    if (put->chunk_bytes >= WRITE_MIN_BYTES || (put->all_there && put->chunk_bytes > 0) ||
        (put->chunk_bytes > 0 && put->chunk_bytes < rb_byteq_used(put->queue))) {
        put_send(put, STEP_WRITE);
    } else if (put->all_there && put->chunk_bytes == 0) {
        put->state = PUT_COMMITTING;
        put_send(put, STEP_COMMIT);
    }
}

static void store_close(struct store_file *store)
{
    if (store->partial_fd >= 0)
        close(store->partial_fd);
    if (store->root_fd >= 0)
        close(store->root_fd);
    free(store->public_url);
    free(store);
}

static void put_free(struct rb_put *put)
{
    struct store_file *store = put->store;

    RB_ASSERT(put->fd < 0);
    free(put->path);
    free(put->partial);
    put->magic = 0;
    free(put);
    if (--store->puts == 0 && store->closing)
        store_close(store);
}

/* The put has ended and no step is out: what it has open goes, on the pool as well. A large file is not gone in a moment. */
static void put_leave(struct rb_put *put)
{
    if (put->on_released != NULL)
        put->on_released(put->released_arg);
    put->on_released = NULL;
    if (put->fd >= 0)
        put_send(put, STEP_DROP);
    else
        put_free(put);
}

static void put_break(struct rb_put *put)
{
    enum rb_code code = rb_errmap_store_errno(put->failed_errno);

    if (code == RB_E_OBJECT_REFUSED || code == RB_E_STORE_REFUSED)
        code = put->of_object ? RB_E_OBJECT_REFUSED : RB_E_STORE_REFUSED;
    put->state = PUT_BROKEN;
    rb_fail(&put->error, code, put->failed_errno, "the file store cannot %s for '%.100s': %s", put->failed_doing,
            put->path, strerror(put->failed_errno));
}

static void on_worked(uv_work_t *work, int status)
{
    struct rb_put *put = RB_CAST(rb_put, work->data, PUT_MAGIC);

    (void)status;
    put->out = false;
    if (put->failed_errno == 0 && put->step == STEP_COMMIT)
        put->state = PUT_DONE;
    if (put->ended) {
        put_leave(put);
        return;
    }
    if (put->failed_errno != 0)
        put_break(put);
    else if (put->step == STEP_OPEN)
        put->state = PUT_WRITING;
    else if (put->step == STEP_WRITE)
        rb_byteq_take(put->queue, put->chunk_bytes);
    put_go_on(put);
    put->on_change(put->arg);
}

static struct rb_put *file_begin(struct rb_store *base, const struct rb_put_spec *spec)
{
    struct store_file *store = (struct store_file *)base;
    struct rb_put *put = rb_xalloc(sizeof(*put));
    char unique[RB_UUID_TEXT_BYTES];

    *put = (struct rb_put){
        .magic = PUT_MAGIC,
        .store = store,
        .path = rb_xprintf("%s/%s", spec->object->bucket, spec->object->key),
        .partial = rb_xprintf("%s.part", rb_uuid_new(unique)),
        .announced = spec->bytes,
        .queue = spec->queue,
        .on_change = spec->on_change,
        .arg = spec->arg,
        .fd = -1,
    };
    put->work.data = put;
    store->puts++;
    put_send(put, STEP_OPEN);
    return put;
}

static void file_more(struct rb_put *put)
{
    put_go_on(put);
}

static void file_commit(struct rb_put *put, int64_t bytes, const char *sha256)
{
    snprintf(put->sha256, sizeof(put->sha256), "%s", sha256);
    put->all_there = true;
    put->bytes = bytes;
    put_go_on(put);
}

static enum rb_poll file_poll(const struct rb_put *put, struct rb_error *err)
{
    if (put->state == PUT_BROKEN) {
        *err = put->error;
        return RB_POLL_FAILED;
    }
    return put->state == PUT_DONE ? RB_POLL_DONE : RB_POLL_WAIT;
}

static void file_end(struct rb_put *put, rb_loop_fn on_released, void *arg)
{
    put->ended = true;
    put->on_released = on_released;
    put->released_arg = arg;
    if (!put->out)
        put_leave(put);
}

static char *file_url(const struct rb_store *base, const struct rb_object *object)
{
    const struct store_file *store = (const struct store_file *)base;

    return rb_xprintf("%s%s/%s", store->public_url, object->bucket, object->key);
}

/* Puts that have ended may still clean up after themselves on the pool. */
static void file_free(struct rb_store *base)
{
    struct store_file *store = (struct store_file *)base;

    store->closing = true;
    if (store->puts == 0)
        store_close(store);
}

static const struct rb_store_ops file_ops = {
    .kind = "file",
    .begin = file_begin,
    .more = file_more,
    .commit = file_commit,
    .poll = file_poll,
    .end = file_end,
    .url = file_url,
    .find = store_file_ask_find,
    .read = store_file_ask_read,
    .check = store_file_ask_check,
    .remove = store_file_ask_remove,
    .list = store_file_ask_list,
    .list_on = store_file_ask_list_on,
    .answer = store_file_ask_answer,
    .forget = store_file_ask_forget,
    .free = file_free,
};

int rb_store_file_new(struct rb_loop *loop, const struct rb_store_file_config *config, struct rb_store **ret_store,
                      struct rb_error *err)
{
    size_t url_bytes = strlen(config->public_url);
    struct store_file *store;

    if (config->root[0] == '\0' || url_bytes == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "the file store needs the options 'file_root' and 'file_public_url'");
    store = rb_xalloc(sizeof(*store));
    *store = (struct store_file){
        .store = {.ops = &file_ops},
        .loop = loop,
        .root_fd = -1,
        .partial_fd = -1,
        .public_url = rb_xprintf("%s%s", config->public_url, config->public_url[url_bytes - 1] == '/' ? "" : "/"),
    };
    if (file_open(store, config, err) < 0) {
        store_close(store);
        return -1;
    }
    *ret_store = &store->store;
    return 0;
}
