/*
 * replay_inside.h — what the files replay*.c share and nobody else sees.
 *
 * Way:  consumer replay -> [replay] -> replay_read -> replay_ask -> replay_video -> job
 */
#pragma once

#include "common/events.h"
#include "common/kafka.h"
#include "common/pool.h"
#include "consumer/command.h"
#include "consumer/offsets.h"
#include "consumer/parts.h"
#include "consumer/replay.h"
#include "consumer/tail_range.h"
#include "consumer/verify_look.h"

#define REPLAY_MAGIC       0x5245504cu
#define REPLAY_BATCH       4096 /* records that the database is asked about at once */
#define REPLAY_BATCH_BYTES (2 << 20)
#define REPLAY_BATCHES     3   /* one is read, one is asked about, one waits for its turn */
#define REPLAY_VIDEOS_MAX  512 /* looked after at once; then no more are begun */
#define REPLAY_AWAY_MS     120000

struct replay;

/* What is read of a partition. The reader's thread has what is its own while it reads. */
struct replay_part {
    enum rb_event event;
    int64_t next;    /* the reader's: behind the last record that it has taken */
    bool done;       /* the reader's: all is read */
    int64_t reached; /* behind the last record that was looked at */
    struct rb_offsets offsets;
    bool changed;      /* since it was last put into a transaction */
    int64_t committed; /* by this run, as far as we know; -1 when nothing is */
    char *text;        /* committed beside it; owned */
};

/* What there is about a video in the database, of those that may need something. */
enum replay_case {
    REPLAY_STORED,  /* nothing to do */
    REPLAY_STORE,   /* it is not stored: work on it */
    REPLAY_AGAIN,   /* it has failed, and is to be tried again */
    REPLAY_LOOK,    /* it says stored: is the object there? */
    REPLAY_OURS,    /* this run has settled it, and may still have to say so */
    REPLAY_BUSY,    /* a running consumer works on it */
    REPLAY_LATER,   /* a record of the topic of retries goes on with it */
    REPLAY_FAILED,  /* it has failed before */
    REPLAY_DELETED, /* and will not come back */
    REPLAY_UNKNOWN, /* the application has no such video */
    REPLAY_OTHER,   /* of another user than is asked for */
};

struct replay_row {
    enum replay_case is;
    bool keep_url; /* the row has a URL that is newer than the record's */
    int64_t attempt;
    int64_t expires_at; /* of the row's URL; RB_NO_LONG when nobody said */
    int64_t bytes;      /* of the object; -1 when nobody knows */
    char sha256[65];
    char *store; /* owned, as are the others; where the object is */
    char *bucket;
    char *key;
};

/* A record of a batch. */
struct replay_entry {
    rd_kafka_message_t *message; /* owned; NULL once nobody needs it */
    size_t part;                 /* in the range */
    size_t video;                /* in the batch */
};

/* A video of a batch. */
struct replay_named {
    char id[RB_UUID_TEXT_BYTES];
    size_t last;                   /* its last record in the batch */
    struct replay_row *row;        /* owned; NULL: it is stored, as most are */
    struct replay_video *unstored; /* its records so far; borrowed from the list of videos */
};

/* Some thousand records, from being read to being done with. */
struct replay_batch {
    struct replay *replay; /* borrowed */
    size_t message_count;
    struct replay_entry entries[REPLAY_BATCH];
    size_t count;
    struct replay_named *named; /* owned; room for one video for each record */
    size_t named_count;
    uint16_t slots[2 * REPLAY_BATCH]; /* a hash of ids: 1 + place in named */
    struct rb_buffer ids;             /* as Postgres reads them */
    int64_t *reach;                   /* owned; for each partition: behind the last record */
    int64_t odd;                      /* records that name no video */
    size_t at;                        /* the next entry that is to be looked at */
    struct rb_pg_query *query;        /* NULL while nothing is asked */
    bool answered;
    struct replay_batch *next; /* in the line of those that were read */
};

struct replay_record {
    struct rb_message *message; /* owned; NULL once a job has it */
    size_t part;
    int64_t offset;
    int64_t timestamp_ms;
};

/* A video that may need something, with its records of one batch, the newest first. */
struct replay_video {
    uint32_t magic;
    struct replay *replay; /* borrowed */
    char id[RB_UUID_TEXT_BYTES];
    struct replay_row row;
    struct replay_record *records;
    size_t count;
    size_t at; /* the record that is worked on */
    bool begun;
    struct rb_verify_look *look; /* at its object; owned, NULL when there is none */
    struct rb_job *job;
    struct rb_job *ended;      /* to be freed by sweep */
    bool is_over;              /* and so is it */
    struct replay_video *next; /* of all */
    struct replay_video **link;
    struct replay_video *next_ready;
};

/* What came of it. Records, but for the videos that are worked on. */
struct replay_counts {
    int64_t read;
    int64_t already_stored;
    int64_t failed_before;
    int64_t busy;         /* a running consumer works on it */
    int64_t later_before; /* a record of the topic of retries goes on with it */
    int64_t deleted;
    int64_t unknown;
    int64_t unfinished; /* the provider is not through with it */
    int64_t unreadable;
    int64_t others;          /* of other users than asked for */
    int64_t ignored;         /* when it only announces */
    int64_t finished_before; /* by this run, before it was ended */
    int64_t elsewhere;       /* stored in a store that is not ours */
    int64_t left;            /* because of --max */
    int64_t wrong;           /* stored, but the object is not there, or another one */
    int64_t stored;
    int64_t bytes; /* of these */
    int64_t gone;
    int64_t failed;
    int64_t later;
    int64_t fetch; /* would be fetched, with --dry-run ... */
    int64_t fetch_bytes;
    int64_t fetch_guess; /* ... of which nobody knows the size, ... */
    int64_t fetch_dead;  /* ... and whose URL has expired */
};

/* Which videos. */
struct replay_filter {
    const char *video; /* "" for all; in lower case */
    const char *user;
    bool failed;
    bool missing;
};

struct replay {
    uint32_t magic;
    struct rb_command *command; /* borrowed */
    const struct rb_command_options *flags;
    struct rb_parts parts;
    struct rb_job_env env;
    struct replay_filter filter;
    char video[RB_UUID_TEXT_BYTES]; /* the filter's */
    char *group;                    /* owned, as are the names below */
    char *transactional_id;
    char *arguments;
    char *suffix;        /* names the run, behind a topic */
    char **owners;       /* owned; for each partition: its topic with the suffix */
    int64_t run;         /* its number */
    int64_t started_ms;  /* since 1970, when the run began first */
    bool resumed;        /* a run that was ended before it was through */
    bool only_announces; /* what such a run, of other arguments, has left */
    bool is_dry;
    struct rb_kafka *kafka; /* NULL until it is opened */
    struct rb_tail_range range;
    struct replay_part *parts_of; /* owned; for each partition of the range */

    rd_kafka_queue_t *records;                    /* owned; of all partitions; the reader's */
    struct replay_batch *batches[REPLAY_BATCHES]; /* owned */
    struct replay_batch *reading;                 /* the one that the pool fills; NULL: none */
    struct replay_batch *first;                   /* the line of those that were read */
    struct replay_batch **last;
    struct rb_pool_call *call;
    char *sql;                    /* owned */
    bool asks_again;              /* the database was away: ... */
    struct rb_timer *again_timer; /* ... a moment ago */

    struct replay_video *videos; /* all that are looked after */
    struct replay_video *ready;  /* may be worked on, the oldest first */
    struct replay_video **ready_last;
    struct rb_task sweep;
    struct rb_task go_on;
    size_t started_count; /* videos of which all records are known */
    size_t job_count;
    size_t look_count;
    struct rb_verify_way way; /* how to look at objects */
    int64_t begun;            /* videos, against --max */
    bool enough;              /* --max is reached */
    struct rb_timer *rate_timer;
    int64_t rate_begun_ms;
    int64_t rate_begun;

    struct rb_timer *tick_timer;
    int64_t commit_ms;                       /* when offsets were committed last */
    struct rb_pool_call *look;               /* at what a transaction has come to; NULL: at none */
    rd_kafka_topic_partition_list_t *wanted; /* after doubt: owned, as is found */
    rd_kafka_topic_partition_list_t *found;
    rd_kafka_resp_err_t look_code;
    rd_kafka_t *look_handle;
    struct rb_timer *look_timer;

    int64_t moved_ms; /* when something last went on */
    bool runs;
    bool over;
    struct rb_error error; /* why it cannot go on */
    struct replay_counts counts;
    int64_t began_ms; /* this process */
};

/* -- replay.c ------------------------------------------------------------------------------------------------------ */

/*
 * Something went on, or might: look what can be done next, at the end of the turn.
 *
 * Loop:   loop thread.
 */
void replay_poke(struct replay *replay);

/*
 * It cannot go on.
 *
 * Loop:   loop thread.
 */
void replay_fail(struct replay *replay, const struct rb_error *err);

/* -- replay_run.c -------------------------------------------------------------------------------------------------- */

/*
 * Find out what is to be read: a new run, or the rest of one that was ended.
 *
 * Gives:  range and parts_of, with what is finished already; run, resumed, suffix and owners.
 * Fails:  KAFKA_AWAY, DB_*, BAD_OPTION.
 * Loop:   outside of a running loop.
 */
RB_MUST_CHECK int replay_run_begin(struct replay *replay, struct rb_error *err);

/*
 * It is through.
 *
 * Fails:  DB_*.
 * Loop:   outside of a running loop.
 */
RB_MUST_CHECK int replay_run_end(struct replay *replay, struct rb_error *err);

/*
 * Forget a run, so that another one can begin.
 *
 * Loop:   outside of a running loop, when nothing is read.
 */
void replay_run_done(struct replay *replay);

/* -- replay_read.c ------------------------------------------------------------------------------------------------- */

/*
 * Begin to read what is to be read.
 *
 * Fails:  KAFKA_AWAY.
 * Loop:   outside of a running loop.
 */
RB_MUST_CHECK int replay_read_start(struct replay *replay, struct rb_error *err);

/*
 * Read the next batch, if there is something left and room for it.
 *
 * Loop:   loop thread.
 */
void replay_read_more(struct replay *replay);

/*
 * Is all read?
 *
 * Loop:   loop thread, while nothing is read.
 */
bool replay_read_is_through(const struct replay *replay);

/*
 * Stop reading and free all batches.
 *
 * Loop:   outside of a running loop; waits for a read that is under way.
 */
void replay_read_stop(struct replay *replay);

/* -- replay_ask.c -------------------------------------------------------------------------------------------------- */

/*
 * Make the statement.
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   pure.
 */
char *replay_ask_sql(const struct replay *replay);

/*
 * Ask the database about a batch; again and again while it is away.
 *
 * Loop:   loop thread.
 */
void replay_ask(struct replay_batch *batch);

/*
 * Work through the batches that are answered, as far as there is room.
 *
 * Loop:   loop thread.
 */
void replay_take_answers(struct replay *replay);

/*
 * Free a row. NULL is fine.
 *
 * Loop:   pure.
 */
void replay_row_free(struct replay_row *row);

/* -- replay_video.c ------------------------------------------------------------------------------------------------ */

/*
 * Begin without any.
 *
 * Loop:   loop thread.
 */
void replay_video_open(struct replay *replay);

/*
 * A job has ended: on_finished of struct rb_job_env.
 *
 * Takes:  arg, a struct replay.
 * Loop:   loop thread.
 */
void replay_video_on_finished(struct rb_job *job, void *arg);

/*
 * A video that may need something.
 *
 * Takes:  row, copied.
 * Gives:  borrowed from the replay, until it is over.
 * Loop:   loop thread.
 */
struct replay_video *replay_video_new(struct replay *replay, const char *id, const struct replay_row *row);

/*
 * One of its records, which was begun in the offsets of its partition.
 *
 * Loop:   loop thread, before replay_video_start.
 */
void replay_video_add(struct replay_video *video, const struct replay_entry *entry);

/*
 * That is all: do what it needs.
 *
 * Loop:   loop thread.
 */
void replay_video_start(struct replay_video *video);

/*
 * Begin to work on those that are ready, as far as options allow.
 *
 * Loop:   loop thread.
 */
void replay_video_begin_ready(struct replay *replay);

/*
 * Drop all.
 *
 * Loop:   outside of a running loop.
 */
void replay_video_drop_all(struct replay *replay);

/*
 * Poke those that may wait for a schema.
 *
 * Loop:   loop thread.
 */
void replay_video_poke_all(struct replay *replay);

/* -- replay_commit.c ----------------------------------------------------------------------------------------------- */

/*
 * Say whose offsets are committed with what is announced: ours.
 *
 * Loop:   loop thread.
 */
void replay_commit_hook(struct replay *replay);

/*
 * Forget that, and what was asked.
 *
 * Loop:   outside of a running loop.
 */
void replay_commit_unhook(struct replay *replay);

/*
 * Have committed what is finished.
 *
 * Gives:  true when there is nothing to commit, and no transaction under way.
 * Loop:   loop thread.
 */
bool replay_commit_soon(struct replay *replay);

/*
 * What has the group committed? Unlike rd_kafka_committed, it fails when only some partitions could not be asked about.
 *
 * Loop:   blocks for wait_ms: on the pool.
 */
rd_kafka_resp_err_t replay_committed(rd_kafka_t *handle, rd_kafka_topic_partition_list_t *list, int wait_ms);

/*
 * Take what the run has committed before.
 *
 * Takes:  entry, as rd_kafka_committed has it.
 * Loop:   outside of a running loop.
 */
void replay_commit_take(struct replay *replay, size_t part, const rd_kafka_topic_partition_t *entry);

/* -- replay_show.c ------------------------------------------------------------------------------------------------- */

/*
 * Print what came of it.
 *
 * Takes:  status, as far as it is known.
 * Gives:  the status to end with.
 * Loop:   outside of a running loop.
 */
int replay_show(struct replay *replay, int status);
