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

void s3_put_hand_out(void *arg)
{
    struct store_s3 *store = arg;

    while (store->waiting != NULL && store->buffers_left > 0) {
        struct rb_put *put = store->waiting;

        s3_put_leave_line(put);
        store->buffers_left--;
        put->buffer = rb_xalloc((size_t)put->part_bytes);
        s3_put_fill(put);
    }
}

/* Move bytes from the queue into the buffer. */
static void gather(struct rb_put *put)
{
    const uint8_t *bytes;
    size_t n;

    while ((n = RB_MIN(rb_byteq_peek(put->queue, &bytes), (size_t)put->part_bytes - put->buffer_used)) > 0) {
        memcpy(put->buffer + put->buffer_used, bytes, n);
        put->buffer_used += n;
        rb_byteq_take(put->queue, n);
        rb_task_queue(&put->tell);
    }
}

void s3_put_fill(struct rb_put *put)
{
    if (put->length >= 0) { /* all parts are there; only the word to complete them is missing */
        if (put->all_there)
            s3_put_enter(put, PUT_COMPLETING);
        return;
    }
    if (put->buffer == NULL) {
        s3_put_enter_line(put);
        return;
    }
    gather(put);

    bool last = put->all_there && rb_byteq_used(put->queue) == 0;
    bool full = put->buffer_used == (size_t)put->part_bytes;

    if (last && put->upload_id == NULL)
        s3_put_enter(put, PUT_SENDING);
    else if (last && put->buffer_used == 0)
        s3_put_enter(put, PUT_COMPLETING);
    else if (last || full)
        s3_put_enter(put, put->upload_id != NULL ? PUT_PART : PUT_CREATING);
}
