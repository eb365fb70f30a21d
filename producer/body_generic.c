/*
 * body_generic.c — the operator says where things stand, and which words mean what.
 *
 * Way:  receive -> verify -> notice -> [body_generic]
 */
#include "producer/body_answer.h"

static const json_t *unless_null(const json_t *value)
{
    return json_is_null(value) ? NULL : value;
}

static int take_ids(const struct rb_provider_fields *fields, json_t *object, struct rb_notice *notice,
                    struct rb_error *err)
{
    const json_t *ours = unless_null(rb_json_at(object, fields->video_id));
    const json_t *theirs = unless_null(rb_json_at(object, fields->id));

    if (ours != NULL && !rb_uuid_parse(json_string_value(ours), notice->video_id))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "%s must be a UUID", fields->video_id);
    if (theirs != NULL)
        RB_TRY(rb_body_take_id(notice, theirs, fields->id, err));
    if (ours == NULL && theirs == NULL)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "there is no id of a video at %s",
                       fields->id != NULL ? fields->id : fields->video_id);
    return 0;
}

int rb_body_generic(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                    struct rb_error *err)
{
    struct rb_provider provider = {.api = {.kind = RB_API_GENERIC, .fields = webhook->fields}}; /* borrows them */

    RB_TRY(rb_body_take_answer(&adapter_generic, &provider, object, notice, err));
    return notice->status == RB_NOTICE_OTHER ? 0 : take_ids(&webhook->fields, object, notice, err);
}
