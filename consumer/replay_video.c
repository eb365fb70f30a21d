/*
 * replay_video.c — a video that may need something: is its object there, and if not, a job for it.
 *
 * Way:  replay_ask -> [replay_video] -> job
 */
#include <inttypes.h>

#include "common/clock.h"
#include "consumer/input.h"
#include "consumer/replay_inside.h"

#define VIDEO_MAGIC 0x52564944u
#define JOBS_MAX    64 /* or as many as can be transferred, and as many again that stand in line */
#define LOOKS_MAX   32 /* objects that are looked at, at once */

/* -- life ---------------------------------------------------------------------------------------------------------- */

struct replay_video *replay_video_new(struct replay *replay, const char *id, const struct replay_row *row)
{
    struct replay_video *video = rb_xalloc(sizeof(*video));

    *video = (struct replay_video){.magic = VIDEO_MAGIC, .replay = replay, .row = *row};
    memcpy(video->id, id, sizeof(video->id));
    video->row.store = rb_xstrdup(row->store);
    video->row.bucket = rb_xstrdup(row->bucket);
    video->row.key = rb_xstrdup(row->key);
    video->next = replay->videos;
    video->link = &replay->videos;
    if (video->next != NULL)
        video->next->link = &video->next;
    replay->videos = video;
    return video;
}

static void video_free(struct replay_video *video)
{
    *video->link = video->next;
    if (video->next != NULL)
        video->next->link = video->link;
    rb_verify_look_free(video->look);
    rb_job_free(video->job);
    rb_job_free(video->ended);
    for (size_t i = 0; i < video->count; i++)
        rb_message_free(video->records[i].message);
    free(video->records);
    free(video->row.store);
    free(video->row.bucket);
    free(video->row.key);
    video->magic = 0;
    free(video);
}

static void sweep(void *arg);

void replay_video_open(struct replay *replay)
{
    rb_task_init(&replay->sweep, replay->command->loop, sweep, replay);
    replay->ready_last = &replay->ready;
    replay->way = (struct rb_verify_way){replay->command->loop, &replay->parts.stores, replay->flags->verify};
}

void replay_video_drop_all(struct replay *replay)
{
    while (replay->videos != NULL)
        video_free(replay->videos);
    replay->ready = NULL;
    replay->ready_last = &replay->ready;
    replay->started_count = replay->job_count = replay->look_count = 0;
}

static void finish_record(struct replay *replay, const struct replay_record *record)
{
    struct replay_part *of = &replay->parts_of[record->part];

    if (rb_offsets_is_open(&of->offsets, record->offset)) /* else it was committed with what it has led to */
        rb_offsets_finish(&of->offsets, record->offset);
    of->changed = true;
}

static void video_end(struct replay_video *video)
{
    struct replay *replay = video->replay;

    video->is_over = true;
    replay->started_count--;
    replay->moved_ms = rb_clock_ms();
    rb_task_queue(&replay->sweep);
    replay_poke(replay);
}

static void video_over(struct replay_video *video, int64_t *count)
{
    if (count != NULL)
        (*count)++;
    for (size_t i = 0; i < video->count; i++)
        finish_record(video->replay, &video->records[i]);
    video_end(video);
}

/* Its records are not finished: should the run go on, it comes again. */
static void video_left(struct replay_video *video)
{
    video->replay->counts.left++;
    video_end(video);
}

static void enter_ready(struct replay_video *video)
{
    struct replay *replay = video->replay;

    video->next_ready = NULL;
    *replay->ready_last = video;
    replay->ready_last = &video->next_ready;
    replay_poke(replay);
}

/* -- its records --------------------------------------------------------------------------------------------------- */

/* The newest one first: what is older about a video speaks of a URL that may be dead by now. */
void replay_video_add(struct replay_video *video, const struct replay_entry *entry)
{
    struct replay *replay = video->replay;
    const struct rb_tail_part *part = &replay->range.parts[entry->part];
    struct rb_message *message = rb_message_new(entry->message, part->topic->name);
    size_t at = 0;

    video->records = rb_xrealloc(video->records, (video->count + 1) * sizeof(*video->records));
    while (at < video->count && video->records[at].timestamp_ms > message->timestamp_ms)
        at++;
    memmove(video->records + at + 1, video->records + at, (video->count - at) * sizeof(*video->records));
    video->records[at] = (struct replay_record){message, entry->part, message->origin.offset, message->timestamp_ms};
    video->count++;
}

void replay_video_start(struct replay_video *video)
{
    video->replay->started_count++;
    enter_ready(video);
}

/* -- is its object there? ------------------------------------------------------------------------------------------ */

static struct rb_verify_row *row_of(const struct replay_video *video)
{
    struct rb_verify_row *row = rb_xalloc(sizeof(*row));
    json_t *object = json_pack("{so}", "key", rb_command_text(video->row.key));

    memcpy(row->video_id, video->id, sizeof(row->video_id));
    row->store = rb_xstrdup(video->row.store);
    row->bucket = rb_xstrdup(video->row.bucket);
    row->objects = json_pack("[o]", object);
    if (video->row.bytes >= 0)
        json_object_set_new(object, "bytes", json_integer(video->row.bytes));
    if (video->row.sha256[0] != '\0')
        json_object_set_new(object, "sha256", json_string(video->row.sha256));
    return row;
}

static void on_looked(void *arg)
{
    struct replay_video *video = RB_CAST(replay_video, arg, VIDEO_MAGIC);

    rb_task_queue(&video->replay->sweep); /* it may have ended before anybody has it */
}

static void look(struct replay_video *video)
{
    video->replay->look_count++;
    video->look = rb_verify_look_new(&video->replay->way, row_of(video), on_looked, video);
}

/* Nobody could say: not without a reason that will go on, unless the row itself is the reason. */
static void after_doubt(struct replay_video *video, bool is_ours, const struct rb_error *err)
{
    if (is_ours && err->code != RB_E_DB_REFUSED)
        replay_fail(video->replay, err);
    else
        video_over(video, &video->replay->counts.elsewhere);
}

static void take_look(struct replay_video *video)
{
    struct replay *replay = video->replay;
    enum rb_inspect_object verdict = video->look->verdict;
    bool is_ours = video->look->target != NULL;
    const struct rb_error err = video->look->error;

    rb_verify_look_free(RB_STEAL(video->look));
    replay->look_count--;
    if (verdict == RB_INSPECT_SAME) {
        video_over(video, &replay->counts.already_stored);
    } else if (verdict == RB_INSPECT_MISSING || verdict == RB_INSPECT_OTHER) {
        replay->counts.wrong++;
        video->row.is = REPLAY_AGAIN;
        enter_ready(video);
    } else {
        after_doubt(video, is_ours, &err);
    }
    replay_poke(replay);
}

/* What has ended is freed when it is not on the stack any more. */
static void sweep(void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);
    struct replay_video *next;

    for (struct replay_video *video = replay->videos; video != NULL; video = next) {
        next = video->next;
        rb_job_free(RB_STEAL(video->ended));
        if (video->look != NULL && video->look->ended)
            take_look(video);
        if (video->is_over)
            video_free(video);
    }
}

/* -- what would be done -------------------------------------------------------------------------------------------- */

static enum rb_poll read_input(const struct replay_video *video, struct rb_input *ret_input)
{
    union {
        struct rb_video_webhook_received webhook;
        struct rb_video_poll_result poll;
    } values;
    const struct replay_record *record = &video->records[video->at];
    const struct rb_message *message = record->message;
    enum rb_event event = video->replay->parts_of[record->part].event;
    struct rb_error ignored = {0};
    enum rb_poll decoded = rb_codec_decode(video->replay->parts.codec, event, message->value, message->value_bytes,
                                           message->schema_header, message->schema_header_bytes, &values, &ignored);

    if (decoded != RB_POLL_DONE)
        return decoded;
    if (rb_input_take(event, &values, ret_input, &ignored) < 0)
        decoded = RB_POLL_FAILED;
    rb_event_clear(event, &values);
    return decoded;
}

static void count_fetch(struct replay_video *video, const struct rb_input *input)
{
    struct replay_counts *counts = &video->replay->counts;
    int64_t expires_at = video->row.keep_url ? video->row.expires_at : input->expires_at;

    counts->fetch++;
    if (video->row.bytes > 0)
        counts->fetch_bytes += video->row.bytes;
    else
        counts->fetch_guess++;
    if (expires_at != RB_NO_LONG && expires_at <= rb_clock_unix_ms())
        counts->fetch_dead++;
}

/* Gives false when its schema is not known yet. */
static bool pretend(struct replay_video *video)
{
    struct replay_counts *counts = &video->replay->counts;

    for (; video->at < video->count; video->at++) {
        struct rb_input input = {0};
        enum rb_poll read = read_input(video, &input);
        bool is_last = video->at + 1 == video->count;

        if (read == RB_POLL_WAIT)
            return false;
        if (read == RB_POLL_DONE && input.status != RB_INPUT_PENDING) {
            if (input.status == RB_INPUT_COMPLETED)
                count_fetch(video, &input);
            video_over(video, input.status == RB_INPUT_FAILED ? &counts->failed : NULL);
            rb_input_done(&input);
            return true;
        }
        rb_input_done(&input);
        if (is_last)
            video_over(video, read == RB_POLL_DONE ? &counts->unfinished : &counts->unreadable);
    }
    return true;
}

/* -- work ---------------------------------------------------------------------------------------------------------- */

static void work(struct replay_video *video)
{
    struct replay *replay = video->replay;
    struct replay_record *record = &video->records[video->at];
    const struct rb_job_again again = {
        .owner_topic = replay->owners[record->part],
        .reopen = video->row.is == REPLAY_AGAIN ? video->row.attempt : RB_NO_LONG,
        .keep_url = video->row.keep_url,
    };

    replay->job_count++;
    video->job = rb_job_new(&replay->env, RB_STEAL(record->message), replay->parts_of[record->part].event, video);
    rb_job_set_again(video->job, &again);
}

/* May an older record about the video have to say more than this one? */
static bool goes_on(const struct replay_video *video, const struct rb_job_end *end)
{
    return end->ending == RB_JOB_SILENT && video->at + 1 < video->count &&
           (video->row.is == REPLAY_OURS || strcmp(end->because, RB_JOB_PENDING) == 0 ||
            strcmp(end->because, RB_JOB_UNREADABLE) == 0);
}

static bool is_dead_url(const char *code)
{
    static const enum rb_code dead[] = {RB_E_SOURCE_GONE, RB_E_SOURCE_DENIED, RB_E_EXPIRED};

    for (size_t i = 0; i < RB_COUNT(dead); i++)
        if (code != NULL && strcmp(code, rb_code_name(dead[i])) == 0)
            return true;
    return false;
}

static int64_t *count_of_end(struct replay_counts *counts, const struct rb_job_end *end)
{
    switch (end->ending) {
    case RB_JOB_STORED:
        counts->bytes += end->bytes;
        return &counts->stored;
    case RB_JOB_FAILED:
        return is_dead_url(end->code) ? &counts->gone : &counts->failed;
    case RB_JOB_LATER:
        return &counts->later;
    case RB_JOB_DEAD_LETTER:
        return &counts->failed;
    case RB_JOB_SILENT:
        break;
    }
    if (strcmp(end->because, RB_JOB_PENDING) == 0)
        return &counts->unfinished;
    return strcmp(end->because, RB_JOB_UNREADABLE) == 0 ? &counts->unreadable : &counts->already_stored;
}

/* Called by the job itself. */
void replay_video_on_finished(struct rb_job *job, void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);
    struct replay_video *video = RB_CAST(replay_video, rb_job_owner(job), VIDEO_MAGIC);
    struct rb_job_end end = rb_job_end(job);

    replay->job_count--;
    video->ended = RB_STEAL(video->job);
    rb_task_queue(&replay->sweep);
    if (!goes_on(video, &end)) {
        video_over(video, count_of_end(&replay->counts, &end));
        return;
    }
    finish_record(replay, &video->records[video->at++]);
    enter_ready(video);
}

/* -- who is next --------------------------------------------------------------------------------------------------- */

/* Gives false when the next one has to wait for its time. */
static bool is_in_time(struct replay *replay)
{
    int64_t rate = replay->flags->rate, now_ms = rb_clock_ms(), due_ms;

    if (rate == 0 || replay->begun == 0) {
        replay->rate_begun_ms = now_ms;
        return true;
    }
    due_ms = replay->rate_begun_ms + replay->begun * 1000 / rate;
    if (now_ms < due_ms)
        rb_timer_start(replay->rate_timer, due_ms - now_ms);
    return now_ms >= due_ms;
}

/* Is it the turn of the first one? */
static bool may_begin(struct replay *replay, const struct replay_video *video)
{
    int64_t transfers = replay->command->options->transfers_max;
    bool is_new = !video->begun && video->row.is != REPLAY_OURS;

    if (video->row.is == REPLAY_LOOK)
        return replay->look_count < LOOKS_MAX;
    if (is_new && replay->flags->max > 0 && replay->begun >= replay->flags->max) {
        replay->enough = true;
        return false;
    }
    if (replay->is_dry)
        return true;
    return (int64_t)replay->job_count < RB_MAX(2 * transfers, (int64_t)JOBS_MAX) && (!is_new || is_in_time(replay));
}

static struct replay_video *take_ready(struct replay *replay)
{
    struct replay_video *video = replay->ready;

    replay->ready = video->next_ready;
    if (replay->ready == NULL)
        replay->ready_last = &replay->ready;
    return video;
}

/* Gives false when it has to wait for a schema. */
static bool begin_first(struct replay *replay)
{
    struct replay_video *video = replay->ready;
    bool looks = video->row.is == REPLAY_LOOK;

    if (!looks && replay->is_dry && !pretend(video))
        return false;
    (void)take_ready(replay);
    if (looks) {
        look(video);
        return true;
    }
    replay->begun += !video->begun && video->row.is != REPLAY_OURS;
    video->begun = true;
    if (!replay->is_dry)
        work(video);
    return true;
}

void replay_video_begin_ready(struct replay *replay)
{
    while (replay->ready != NULL && !replay->enough && !replay->over && may_begin(replay, replay->ready))
        if (!begin_first(replay))
            break;
    while (replay->enough && replay->ready != NULL)
        video_left(take_ready(replay));
}

void replay_video_poke_all(struct replay *replay)
{
    for (struct replay_video *video = replay->videos; video != NULL; video = video->next)
        if (video->job != NULL)
            rb_job_poke(video->job);
    replay_poke(replay);
}
