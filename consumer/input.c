/*
 * input.c — what a record says about a video, whichever event it is.
 *
 * Way:  consume -> message -> [input] -> job
 */
#include "consumer/input.h"

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

int rb_input_take(enum rb_event event, void *values, struct rb_input *ret_input, struct rb_error *err)
{
    struct rb_video_webhook_received *webhook = values;
    struct rb_video_poll_result *poll = values;
    bool is_poll = event == RB_EVENT_VIDEO_POLL_RESULT;
    struct rb_input input = {.event = event};

    RB_ASSERT(is_poll || event == RB_EVENT_VIDEO_WEBHOOK_RECEIVED);
    if (!rb_uuid_parse(is_poll ? poll->video_id : webhook->video_id, input.video_id))
        return rb_fail(err, RB_E_BAD_EVENT, 0, "field 'video_id' of the record is no UUID");
    RB_TRY(read_status(is_poll ? poll->status : webhook->status, &input, err));
    if (is_poll)
        take_poll(poll, &input);
    else
        take_webhook(webhook, &input);
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
    *input = (struct rb_input){0};
}
