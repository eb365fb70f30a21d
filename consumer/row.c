/*
 * row.c — a video as reelbus.video has it, and what a claim on it means.
 *
 * Way:  job -> [row] <- record
 */
#include "consumer/row.h"

static bool is_owner(const struct rb_row *row, const struct rb_origin *origin)
{
    return row->owner_topic != NULL && strcmp(row->owner_topic, origin->topic) == 0 &&
           row->owner_partition == origin->partition && row->owner_offset == origin->offset;
}

enum rb_verdict rb_row_verdict(bool known, bool mine, const struct rb_row *row, const struct rb_asker *asker)
{
    if (mine)
        return RB_VERDICT_MINE;
    if (row == NULL)
        return known ? RB_VERDICT_LOST : RB_VERDICT_UNKNOWN; /* known: a row that came between look and write */
    if (row->state == RB_ROW_STORED || row->state == RB_ROW_FAILED)
        return is_owner(row, &asker->origin) ? RB_VERDICT_ANNOUNCE : RB_VERDICT_SETTLED;
    if (row->state == RB_ROW_DELETED)
        return RB_VERDICT_SETTLED;
    if (known && row->state == RB_ROW_PROCESSING && row->put_off > asker->progress)
        return RB_VERDICT_PUT_OFF;
    return known ? RB_VERDICT_LOST : RB_VERDICT_UNKNOWN;
}

void rb_row_done(struct rb_row *row)
{
    char **texts[] = {
        &row->user_id,       &row->source_url,   &row->provider,    &row->provider_video_id,
        &row->store,         &row->bucket,       &row->object_key,  &row->stored_url,
        &row->sha256,        &row->content_type, &row->error_class, &row->error_code,
        &row->error_message, &row->owner_topic,
    };

    for (size_t i = 0; i < RB_COUNT(texts); i++)
        free(*texts[i]);
    rb_variants_done(&row->variants);
    *row = (struct rb_row){0};
}
