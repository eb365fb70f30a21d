/*
 * input.c — what a record says about a video, whichever event it is.
 *
 * Way:  consume -> message -> [input] -> job
 */
#include "consumer/input.h"

#include "common/url_expiry.h"

#define TIME_MAX_MS (INT64_C(1) << 53) /* no clock of ours is ever there: room to calculate */

struct status_row {
    const char *name;
    enum rb_input_status status;
};

static const struct status_row status_rows[] = {
    {"completed", RB_INPUT_COMPLETED}, {"failed", RB_INPUT_FAILED},       {"expired", RB_INPUT_FAILED},
    {"queued", RB_INPUT_PENDING},      {"in_progress", RB_INPUT_PENDING},
};

static int read_status(const char *name, struct rb_input *input, struct rb_error *err)
{
    for (size_t i = 0; i < RB_COUNT(status_rows); i++) {
        if (strcmp(status_rows[i].name, name) == 0) {
            input->status = status_rows[i].status;
            return 0;
        }
    }
    return rb_fail(err, RB_E_BAD_EVENT, 0, "field 'status' of the record is '%.40s', which we do not know", name);
}

static void take_webhook(struct rb_video_webhook_received *event, struct rb_input *input)
{
    input->source_url = RB_STEAL(event->video_url);
    input->provider = RB_STEAL(event->provider);
    input->provider_video_id = RB_STEAL(event->provider_video_id);
    input->error_code = RB_STEAL(event->error_code);
    input->error_message = RB_STEAL(event->error_message);
    input->expires_at = event->expires_at;
    input->received_at = event->received_at;
}

static void take_poll(struct rb_video_poll_result *event, struct rb_input *input)
{
    input->source_url = RB_STEAL(event->video_url);
    input->provider = RB_STEAL(event->provider);
    input->provider_video_id = RB_STEAL(event->provider_video_id);
    input->error_code = RB_STEAL(event->error_code);
    input->error_message = RB_STEAL(event->error_message);
    input->expires_at = event->expires_at;
    input->received_at = event->polled_at;
}

static void take_retry(struct rb_video_store_retry *event, struct rb_input *input)
{
    input->source_url = RB_STEAL(event->video_url);
    input->provider = RB_STEAL(event->provider);
    input->provider_video_id = RB_STEAL(event->provider_video_id);
    input->expires_at = event->expires_at;
    input->received_at = event->received_at;
    input->not_before = event->not_before;
    input->tries = event->tries;
    input->first_try_at = event->first_try_at;
    input->renewals = event->renewals != RB_NO_LONG ? event->renewals : 0;
    input->url_since = event->url_since;
    input->origin_topic = RB_STEAL(event->origin_topic);
    input->origin_partition = (int32_t)event->origin_partition;
    input->origin_offset = event->origin_offset;
}

/* Anybody can write a number. RB_NO_LONG stays. */
static void limit(int64_t *number, int64_t max)
{
    if (*number != RB_NO_LONG)
        *number = RB_MAX(RB_MIN(*number, max), 0);
}

static void limit_numbers(struct rb_input *input)
{
    limit(&input->expires_at, TIME_MAX_MS);
    limit(&input->received_at, TIME_MAX_MS);
    limit(&input->not_before, TIME_MAX_MS);
    limit(&input->first_try_at, TIME_MAX_MS);
    limit(&input->url_since, TIME_MAX_MS);
    limit(&input->tries, INT32_MAX / 2);
    limit(&input->renewals, INT32_MAX / 2);
}

/* Many URLs say themselves how long they live. One that had died before it came says something else. */
static void find_expiry(struct rb_input *input)
{
    int64_t expires_at = input->source_url != NULL ? rb_url_expiry(input->source_url) : RB_NO_LONG;

    if (input->expires_at == RB_NO_LONG && expires_at != RB_NO_LONG && expires_at > input->received_at)
        input->expires_at = expires_at;
}

/* What the three events have in common. All borrowed from them. */
struct head {
    const char *video_id;
    const char *status;
};

static struct head head_of(enum rb_event event, const void *values)
{
    const struct rb_video_webhook_received *webhook = values;
    const struct rb_video_poll_result *poll = values;
    const struct rb_video_store_retry *retry = values;

    if (event == RB_EVENT_VIDEO_POLL_RESULT)
        return (struct head){poll->video_id, poll->status};
    if (event == RB_EVENT_VIDEO_STORE_RETRY)
        return (struct head){retry->video_id, retry->status};
    RB_ASSERT(event == RB_EVENT_VIDEO_WEBHOOK_RECEIVED);
    return (struct head){webhook->video_id, webhook->status};
}

int rb_input_take(enum rb_event event, void *values, struct rb_input *ret_input, struct rb_error *err)
{
    const struct head head = head_of(event, values);
    struct rb_input input = {
        .event = event, .not_before = RB_NO_LONG, .first_try_at = RB_NO_LONG, .url_since = RB_NO_LONG};

    if (!rb_uuid_parse(head.video_id, input.video_id))
        return rb_fail(err, RB_E_BAD_EVENT, 0, "field 'video_id' of the record is no UUID");
    RB_TRY(read_status(head.status, &input, err));
    if (event == RB_EVENT_VIDEO_POLL_RESULT)
        take_poll(values, &input);
    else if (event == RB_EVENT_VIDEO_STORE_RETRY)
        take_retry(values, &input);
    else
        take_webhook(values, &input);
    limit_numbers(&input);
    find_expiry(&input);
    *ret_input = input;
    return 0;
}

void rb_input_done(struct rb_input *input)
{
    free(input->source_url);
    free(input->provider);
    free(input->provider_video_id);
    free(input->error_code);
    free(input->error_message);
    free(input->origin_topic);
    *input = (struct rb_input){0};
}
