/*
 * poll_plan.c — what to make of a provider's answer.
 *
 * Way:  poll -> adapter -> [poll_plan] -> publish
 */
#include "producer/poll_plan.h"

#include "common/units.h"

#define MAX_REST_MS 3600000

struct rb_poll_policy rb_poll_plan_policy(const struct rb_poll_policy *policy, const struct rb_provider_api *api)
{
    struct rb_poll_policy own = *policy;

    if (api->poll_interval_ms > 0)
        own.interval_ms = api->poll_interval_ms;
    if (api->poll_deadline_ms > 0)
        own.deadline_ms = api->poll_deadline_ms;
    return own;
}

static void give_up(struct rb_adapter_answer *ret_given_up, const char *code, char *message)
{
    *ret_given_up = (struct rb_adapter_answer){
        .status = RB_ADAPTER_FAILED,
        .progress = RB_NO_LONG,
        .error_code = rb_xstrdup(code),
        .error_message = message,
        .expires_at_ms = RB_NO_LONG,
        .completed_at_ms = RB_NO_LONG,
    };
}

/*
 * Past the deadline the provider's next answer that is no end ends the video. A provider that gives no answer at all does
 * not, for as long again: its outage, or a wrong key of ours, shall not lose a video that it may well have finished.
 */
static bool is_overdue(const struct rb_poll_row *row, const struct rb_poll_policy *policy, bool answered)
{
    int64_t age_ms = row->now_ms - row->waiting_since_ms;

    return row->announced == 0 && age_ms >= policy->deadline_ms * (answered ? 1 : 2);
}

static enum rb_poll_verdict plan_without_answer(const struct rb_poll_row *row, const struct rb_poll_policy *policy,
                                                const struct rb_error *err, struct rb_adapter_answer *ret_given_up)
{
    char amount[RB_UNITS_TEXT_BYTES];

    if (row->announced == 0 && err->code == RB_E_PROVIDER_LACKS && row->missing_since_ms != RB_NO_LONG &&
        row->now_ms - row->missing_since_ms >= policy->missing_ms) {
        give_up(ret_given_up, "provider_lacks_video",
                rb_xprintf("the provider does not know the video, for %s now",
                           rb_units_ms_text(policy->missing_ms, amount)));
        return RB_PLAN_GIVE_UP;
    }
    if (err->code == RB_E_BAD_REQUEST) {
        give_up(ret_given_up, "bad_provider_video_id", rb_xstrdup(err->message));
        return RB_PLAN_GIVE_UP;
    }
    if (is_overdue(row, policy, false)) {
        give_up(ret_given_up, "generation_timeout",
                rb_xprintf("no result within %s, and no answer from the provider since: %.120s",
                           rb_units_ms_text(policy->deadline_ms, amount), err->message));
        return RB_PLAN_GIVE_UP;
    }
    return RB_PLAN_QUIET;
}

/* Progress that goes back is none. */
static bool is_news(const struct rb_poll_row *row, const struct rb_poll_policy *policy,
                    const struct rb_adapter_answer *answer)
{
    int64_t before = row->progress != RB_NO_LONG ? row->progress : 0;

    if (row->status == NULL || strcmp(row->status, rb_adapter_status_name(answer->status)) != 0)
        return true;
    return answer->progress != RB_NO_LONG && answer->progress >= before + policy->progress_points;
}

enum rb_poll_verdict rb_poll_plan(const struct rb_poll_row *row, const struct rb_poll_policy *policy,
                                  const struct rb_adapter_answer *answer, const struct rb_error *err,
                                  struct rb_adapter_answer *ret_given_up)
{
    char amount[RB_UNITS_TEXT_BYTES];

    if (answer == NULL)
        return plan_without_answer(row, policy, err, ret_given_up);
    if (rb_adapter_is_final(answer->status))
        return RB_PLAN_END;
    if (is_overdue(row, policy, true)) {
        give_up(ret_given_up, "generation_timeout",
                rb_xprintf("no result within %s; the provider still says '%s'",
                           rb_units_ms_text(policy->deadline_ms, amount), rb_adapter_status_name(answer->status)));
        return RB_PLAN_GIVE_UP;
    }
    return row->announced == 0 && is_news(row, policy, answer) ? RB_PLAN_NEWS : RB_PLAN_QUIET;
}

int64_t rb_poll_plan_jitter_ms(int64_t ms, uint64_t random)
{
    int64_t fifth = ms / 5;

    return RB_MAX(ms - fifth + (int64_t)(random % (uint64_t)(2 * fifth + 1)), 1);
}

int64_t rb_poll_plan_rest_ms(const struct rb_poll_policy *policy, int64_t announced, uint64_t random)
{
    int64_t rest_ms = policy->announce_ms;

    for (int64_t i = 0; i < announced && rest_ms < MAX_REST_MS; i++)
        rest_ms *= 2;
    return rb_poll_plan_jitter_ms(RB_MAX(RB_MIN(rest_ms, MAX_REST_MS), policy->announce_ms), random);
}

void rb_poll_row_done(struct rb_poll_row *row)
{
    free(row->user_id);
    free(row->provider_video_id);
    free(row->status);
    *row = (struct rb_poll_row){0};
}
