/*
 * verify.c — is what the database calls stored in the store, and the same?
 *
 * Way:  consumer verify -> [verify] -> verify_rows, verify_look, verify_repair
 */
#include "consumer/verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/show.h"
#include "consumer/store_probe.h"
#include "consumer/verify_look.h"
#include "consumer/verify_repair.h"

#define CHECK_MS    60000
#define IN_VAIN_MAX 20 /* videos in a row about which no store says anything: it is away */

struct verify {
    struct rb_command *command; /* borrowed */
    struct rb_stores stores;
    struct rb_verify_way way;
    struct rb_verify_rows rows;
    char begun_after[RB_UUID_TEXT_BYTES];
    struct rb_verify_look *looks; /* all of them, the newest first */
    size_t look_count;
    struct rb_verify_repair *repair; /* NULL when nothing is to be repaired */
    bool at_end;                     /* there are no more rows */
    int64_t counts[RB_INSPECT_UNKNOWN + 1];
    int64_t sent;
    int64_t unsent; /* to be repaired, and could not be */
    int64_t bytes;
    int64_t begun_ms;
    unsigned in_vain;
    struct rb_error error; /* of the last of these */
};

static const struct rb_command_options *flags_of(const struct verify *verify)
{
    return &verify->command->options->command;
}

/* -- what is said -------------------------------------------------------------------------------------------------- */

/* What is in it comes from rows and stores: a terminal obeys none of it. */
static void print_line(const struct verify *verify, const struct rb_verify_look *look, const char *repair)
{
    RB_AUTO_JSON *line = rb_verify_look_json(look);
    const json_t *object = json_object_get(line, "object");
    const char *key = rb_json_text(object, "key"), *name = rb_json_text(object, "name");
    const char *error = rb_json_text(line, "error");
    RB_AUTO_BUFFER text = {0}, clean = {0};

    rb_buffer_print(&text, "%-8s %s %s/%s", rb_inspect_object_name(look->verdict), look->row->video_id,
                    look->row->bucket != NULL ? look->row->bucket : "", key != NULL ? key : "");
    if (name != NULL && strcmp(name, "video") != 0)
        rb_buffer_print(&text, " (%s)", name);
    if (error != NULL)
        rb_buffer_print(&text, ": %s", error);
    if (repair[0] != '\0')
        rb_buffer_print(&text, ", %s", repair);
    rb_show_text(&clean, text.bytes, text.used);
    rb_bar_hide(verify->command->bar);
    puts(clean.bytes);
}

static void report(struct verify *verify, const struct rb_verify_look *look, const char *repair)
{
    json_t *line;

    if (!flags_of(verify)->json) {
        print_line(verify, look, repair);
        return;
    }
    line = rb_verify_look_json(look);
    if (repair[0] != '\0')
        json_object_set_new(line, "repair", json_string(repair));
    rb_command_print(verify->command, line);
}

static void print_sums(const struct verify *verify)
{
    const int64_t *counts = verify->counts;
    int64_t took_ms = rb_clock_ms() - verify->begun_ms;
    int64_t all =
        counts[RB_INSPECT_SAME] + counts[RB_INSPECT_OTHER] + counts[RB_INSPECT_MISSING] + counts[RB_INSPECT_UNKNOWN];
    char number[RB_SHOW_TEXT_BYTES], bytes[RB_SHOW_TEXT_BYTES], time[RB_SHOW_TEXT_BYTES];

    if (flags_of(verify)->json)
        rb_command_print(verify->command,
                         json_pack("{s{sI sI sI sI sI sI sI sI sI}}", "summary", "looked_at", (json_int_t)all, "same",
                                   (json_int_t)counts[RB_INSPECT_SAME], "other", (json_int_t)counts[RB_INSPECT_OTHER],
                                   "missing", (json_int_t)counts[RB_INSPECT_MISSING], "unknown",
                                   (json_int_t)counts[RB_INSPECT_UNKNOWN], "sent", (json_int_t)verify->sent, "unsent",
                                   (json_int_t)verify->unsent, "bytes", (json_int_t)verify->bytes, "took_ms",
                                   (json_int_t)took_ms));
    else
        printf("%s looked at: %" PRId64 " same, %" PRId64 " other, %" PRId64 " missing, %" PRId64 " unknown; %" PRId64
               " sent to be stored again; %s, %s\n",
               rb_show_count(all, number), counts[RB_INSPECT_SAME], counts[RB_INSPECT_OTHER],
               counts[RB_INSPECT_MISSING], counts[RB_INSPECT_UNKNOWN], verify->sent,
               rb_show_bytes(verify->bytes, bytes), rb_show_ms(took_ms, time));
}

/* -- what comes of a look ------------------------------------------------------------------------------------------ */

/* What cannot be repaired is said, and the others are gone on with. */
static int repair(struct verify *verify, const struct rb_verify_look *look, const char **ret_words,
                  struct rb_error *err)
{
    bool sent = false;

    *ret_words = "";
    if (verify->repair == NULL || (look->verdict != RB_INSPECT_MISSING && look->verdict != RB_INSPECT_OTHER))
        return 0;
    RB_TRY(rb_verify_repair_send(verify->repair, look->row, rb_inspect_object_name(look->verdict), &sent, err));
    verify->sent += sent ? 1 : 0;
    verify->unsent += sent ? 0 : 1;
    *ret_words = sent ? "sent to be stored again"
                      : "not sent: it has changed meanwhile, is not announced yet, or nobody knows its source";
    return 0;
}

static int take_look(struct verify *verify, struct rb_verify_look *look, struct rb_error *err)
{
    const char *words = "";

    verify->counts[look->verdict]++;
    verify->bytes += look->bytes;
    verify->in_vain = look->tries > 0 || look->answer.refused ? verify->in_vain + 1 : 0;
    rb_bar_add(verify->command->bar, 1);
    if (look->verdict == RB_INSPECT_SAME)
        return 0;
    RB_TRY(repair(verify, look, &words, err));
    report(verify, look, words);
    if (verify->in_vain < IN_VAIN_MAX)
        return 0;
    *err = look->error;
    return -1;
}

static int take_ended(struct verify *verify, struct rb_error *err)
{
    struct rb_verify_look **place = &verify->looks;

    while (*place != NULL) {
        struct rb_verify_look *look = *place;

        if (!look->ended) {
            place = &look->next;
            continue;
        }
        RB_TRY(take_look(verify, look, err)); /* else it is not through, and says where to go on */
        *place = look->next;
        verify->look_count--;
        rb_verify_look_free(look);
        place = &verify->looks; /* the loop has run: others may have ended, none was added */
    }
    return 0;
}

static int begin_looks(struct verify *verify, struct rb_error *err)
{
    while (!verify->at_end && verify->look_count < (size_t)flags_of(verify)->at_once) {
        struct rb_verify_row *row = NULL;
        struct rb_verify_look *look;

        RB_TRY(rb_verify_rows_next(&verify->rows, &row, err));
        verify->at_end = row == NULL;
        if (row == NULL)
            break;
        look = rb_verify_look_new(&verify->way, row, rb_command_wake, verify->command);
        look->next = verify->looks;
        verify->looks = look;
        verify->look_count++;
    }
    return 0;
}

static int finish(struct verify *verify, struct rb_error *err)
{
    return verify->repair != NULL ? rb_verify_repair_finish(verify->repair, err) : 0;
}

static int look_at_all(struct verify *verify, struct rb_error *err)
{
    while (!verify->command->stopped) {
        RB_TRY(begin_looks(verify, err));
        RB_TRY(take_ended(verify, err));
        if (!rb_command_flush(verify->command) || (verify->look_count == 0 && verify->at_end))
            return finish(verify, err);
        if (verify->at_end || verify->look_count == (size_t)flags_of(verify)->at_once)
            (void)rb_command_wait(verify->command);
    }
    return rb_fail(err, RB_E_SYSTEM, 0, "ended before it was through");
}

/* -- from the beginning to the end --------------------------------------------------------------------------------- */

/* A store that is another one than it was, without the bucket, has lost nothing. */
static int check_target(struct rb_command *command, const struct rb_target *target, struct rb_error *err)
{
    struct rb_store_answer answer = {0};

    if (target->store == NULL)
        return 0;
    return rb_store_probe_once(command->loop, target->store, target->bucket, RB_CHECK_LOOK, CHECK_MS, &answer, err);
}

static int verify_open(struct verify *verify, struct rb_error *err)
{
    struct rb_command *command = verify->command;
    struct rb_bar_config bar = rb_bar_config_of("verify", "videos", -1);

    RB_TRY(rb_verify_rows_open(&verify->rows, command, rb_clock_unix_ms(), err));
    memcpy(verify->begun_after, verify->rows.last, sizeof(verify->begun_after));
    RB_TRY(rb_stores_open(command->loop, command->all_options, &verify->stores, err));
    RB_TRY(rb_verify_rows_count(&verify->rows, &bar.total, err));
    verify->way = (struct rb_verify_way){command->loop, &verify->stores, flags_of(verify)->hash};
    command->bar = rb_bar_new(command->loop, &bar);
    if (!flags_of(verify)->repair)
        return 0;
    RB_TRY(check_target(command, &verify->stores.first, err));
    RB_TRY(check_target(command, &verify->stores.fallback, err));
    return rb_verify_repair_new(command, &verify->repair, err);
}

/*
 * Ids are looked at in order, several at once: what is before the first one that has not ended is through. But of a repair
 * nobody knows which records the brokers have: all that was set back is sent once more, and consumers pass over what was there.
 */
static void say_how_to_go_on(const struct verify *verify)
{
    const char *after = verify->rows.last;

    for (const struct rb_verify_look *look = verify->looks; look != NULL; look = look->next)
        after = look->row->before; /* the oldest one is the last in the list */
    if (verify->repair != NULL)
        after = verify->begun_after;
    rb_command_note(verify->command, "go on with --after %s", after);
}

static void verify_close(struct verify *verify)
{
    while (verify->looks != NULL) {
        struct rb_verify_look *look = verify->looks;

        verify->looks = look->next;
        rb_verify_look_free(look);
    }
    rb_verify_repair_free(verify->repair);
    rb_verify_rows_done(&verify->rows);
    rb_stores_close(&verify->stores);
}

static int status_of(const struct verify *verify)
{
    if (verify->counts[RB_INSPECT_MISSING] + verify->counts[RB_INSPECT_OTHER] > 0)
        return RB_EXIT_FOUND;
    return verify->counts[RB_INSPECT_UNKNOWN] > 0 ? RB_EXIT_FAILED : RB_EXIT_OK;
}

int rb_verify_objects(struct rb_command *command)
{
    struct verify verify = {.command = command, .begun_ms = rb_clock_ms()};
    struct rb_error err = {0};
    int status = RB_EXIT_OK;
    bool open = verify_open(&verify, &err) == 0;

    if (!open || look_at_all(&verify, &err) < 0)
        status = rb_command_fail(command, &err);
    if (open && status != RB_EXIT_OK)
        say_how_to_go_on(&verify);
    if (open)
        print_sums(&verify);
    verify_close(&verify);
    return status != RB_EXIT_OK ? status : status_of(&verify);
}
