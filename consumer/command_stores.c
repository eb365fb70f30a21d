/*
 * command_stores.c — the stores, for commands.
 *
 * Way:  consumer inspect, verify -> [command_stores] -> store
 */
#include "consumer/command_stores.h"

static bool is_target(const struct rb_target *target, const char *store, const char *bucket)
{
    return target->store != NULL && store != NULL && bucket != NULL && strcmp(target->store->ops->kind, store) == 0 &&
           strcmp(target->bucket, bucket) == 0;
}

const struct rb_target *rb_command_target(const struct rb_stores *stores, const char *store, const char *bucket)
{
    if (is_target(&stores->first, store, bucket))
        return &stores->first;
    return is_target(&stores->fallback, store, bucket) ? &stores->fallback : NULL;
}

int rb_command_answer(struct rb_command *command, const struct rb_target *target, const struct rb_ask *ask,
                      struct rb_store_answer *ret_answer, struct rb_error *err)
{
    enum rb_poll answer;

    while ((answer = target->store->ops->answer(ask, ret_answer, err)) == RB_POLL_WAIT && rb_command_wait(command))
        continue;
    if (answer == RB_POLL_WAIT)
        return rb_fail(err, RB_E_STORE_AWAY, 0, "ended before the store had answered");
    return answer == RB_POLL_DONE ? 0 : -1;
}

int rb_command_find(struct rb_command *command, const struct rb_target *target, const char *key,
                    struct rb_store_answer *ret_answer, struct rb_error *err)
{
    const struct rb_object object = {.bucket = target->bucket, .key = key};
    const struct rb_store_ops *ops = target->store->ops;
    struct rb_ask *ask = ops->find(target->store, &object, rb_command_wake, command);
    int result = rb_command_answer(command, target, ask, ret_answer, err);

    ops->forget(ask);
    return result;
}
