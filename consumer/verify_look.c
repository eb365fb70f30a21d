/*
 * verify_look.c — a look at all objects of one video.
 *
 * Way:  verify -> [verify_look] -> store
 */
#include "consumer/verify_look.h"

#include "common/backoff.h"
#include "consumer/command_stores.h"

#define LOOK_MAGIC 0x4c4f4f4bu
#define TRIES_MAX  4

static void look_on(struct rb_verify_look *look);

static const json_t *object_of(const struct rb_verify_look *look)
{
    return json_array_get(look->row->objects, look->number);
}

static void end(struct rb_verify_look *look, enum rb_inspect_object verdict)
{
    look->verdict = verdict;
    look->ended = true;
    look->on_end(look->arg);
}

/* A store that stumbles is asked again. */
static void after_failure(struct rb_verify_look *look)
{
    struct rb_backoff pause = {.first_ms = 200, .max_ms = 5000, .tries = look->tries};

    if (++look->tries < TRIES_MAX)
        rb_timer_start(look->timer, rb_backoff_next_ms(&pause, rb_random()));
    else
        end(look, RB_INSPECT_UNKNOWN);
}

static void after_answer(struct rb_verify_look *look)
{
    const json_t *object = object_of(look);
    const json_t *bytes = json_object_get(object, "bytes");
    enum rb_inspect_object verdict = rb_inspect_compare(
        &look->answer, json_is_integer(bytes) ? json_integer_value(bytes) : -1, rb_json_text(object, "sha256"));

    look->tries = 0;
    if (verdict != RB_INSPECT_SAME) {
        if (verdict == RB_INSPECT_UNKNOWN)
            rb_fail(&look->error, RB_E_STORE_DENIED, 0, "the store does not let us look");
        end(look, verdict);
        return;
    }
    look->hashing = look->way->by_hash && !look->hashing;
    if (!look->hashing) {
        look->bytes += RB_MAX(look->answer.bytes, 0);
        look->number++;
    }
    look_on(look);
}

static void on_answer(void *arg)
{
    struct rb_verify_look *look = RB_CAST(rb_verify_look, arg, LOOK_MAGIC);
    const struct rb_store_ops *ops = look->target->store->ops;
    enum rb_poll polled = ops->answer(look->ask, &look->answer, &look->error);

    if (polled == RB_POLL_WAIT)
        return;
    ops->forget(RB_STEAL(look->ask));
    if (polled == RB_POLL_DONE)
        after_answer(look);
    else
        after_failure(look);
}

static void look_on(struct rb_verify_look *look)
{
    const struct rb_store_ops *ops = look->target->store->ops;
    struct rb_object object;

    if (look->number == json_array_size(look->row->objects)) {
        end(look, RB_INSPECT_SAME);
        return;
    }
    object = (struct rb_object){.bucket = look->target->bucket, .key = rb_json_text(object_of(look), "key")};
    if (object.key == NULL) {
        rb_fail(&look->error, RB_E_DB_REFUSED, 0, "the row names no object");
        end(look, RB_INSPECT_UNKNOWN);
        return;
    }
    look->answer = (struct rb_store_answer){0};
    look->ask = look->hashing ? ops->read(look->target->store, &object, on_answer, look)
                              : ops->find(look->target->store, &object, on_answer, look);
}

static void on_timer(void *arg)
{
    look_on(RB_CAST(rb_verify_look, arg, LOOK_MAGIC));
}

struct rb_verify_look *rb_verify_look_new(const struct rb_verify_way *way, struct rb_verify_row *row, rb_loop_fn on_end,
                                          void *arg)
{
    struct rb_verify_look *look = rb_xalloc(sizeof(*look));

    *look = (struct rb_verify_look){
        .magic = LOOK_MAGIC,
        .way = way,
        .row = row,
        .target = rb_command_target(way->stores, row->store, row->bucket),
        .on_end = on_end,
        .arg = arg,
    };
    look->timer = rb_timer_new(way->loop, on_timer, look);
    if (look->target == NULL) {
        rb_fail(&look->error, RB_E_BAD_OPTION, 0, "no store of the kind '%.20s' with the bucket '%.63s' is configured",
                row->store != NULL ? row->store : "", row->bucket != NULL ? row->bucket : "");
        end(look, RB_INSPECT_UNKNOWN);
    } else if (row->is_set_back) {
        end(look, RB_INSPECT_MISSING);
    } else {
        look_on(look);
    }
    return look;
}

void rb_verify_look_free(struct rb_verify_look *look)
{
    if (look == NULL)
        return;
    if (look->ask != NULL)
        look->target->store->ops->forget(look->ask);
    rb_timer_free(look->timer);
    rb_verify_row_free(look->row);
    look->magic = 0;
    free(look);
}

json_t *rb_verify_look_json(const struct rb_verify_look *look)
{
    const json_t *object = object_of(look);
    json_t *line =
        json_pack("{ss ss so so}", "video_id", look->row->video_id, "verdict", rb_inspect_object_name(look->verdict),
                  "store", rb_command_text(look->row->store), "bucket", rb_command_text(look->row->bucket));

    if (object != NULL)
        json_object_set(line, "object", (json_t *)object);
    if (look->row->is_set_back)
        json_object_set_new(line, "set_back", json_true());
    if (look->verdict == RB_INSPECT_OTHER)
        json_object_set_new(line, "found",
                            json_pack("{sI so}", "bytes", (json_int_t)look->answer.bytes, "sha256",
                                      look->answer.sha256[0] != '\0' ? json_string(look->answer.sha256) : json_null()));
    if (look->verdict == RB_INSPECT_UNKNOWN)
        json_object_set_new(line, "error", rb_command_text(look->error.message));
    return line;
}
