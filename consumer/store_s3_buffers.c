/*
 * store_s3_buffers.c — the buffers for objects of unknown length: there are only so many, and who comes first gets one first.
 *
 * Way:  download -> [store_s3] -> record
 */
#include "consumer/store_s3_put.h"

void s3_put_leave_line(struct rb_put *put)
{
    struct store_s3 *store = put->store;

    if (!put->in_line)
        return;
    for (struct rb_put **link = &store->waiting; *link != NULL; link = &(*link)->line_next) {
        if (*link == put) {
            *link = put->line_next;
            if (store->line_end == &put->line_next)
                store->line_end = link;
            break;
        }
    }
    put->in_line = false;
    put->line_next = NULL;
}

void s3_put_enter_line(struct rb_put *put)
{
    struct store_s3 *store = put->store;

    if (put->in_line)
        return;
    put->in_line = true;
    *store->line_end = put;
    store->line_end = &put->line_next;
    rb_task_queue(&store->hand_out);
}

void s3_put_give_back(struct rb_put *put)
{
    s3_put_leave_line(put);
    if (put->buffer == NULL)
        return;
    free(put->buffer);
    put->buffer = NULL;
    put->store->buffers_left++;
    rb_task_queue(&put->store->hand_out);
}
