/*
 * command_table.h — what an operator can do with reelbus-consumer beside running it: one row is a command, its page of --help
 * and its section of the manual.
 *
 * Way:  consumer
 */
#pragma once

/* clang-format off: one row, one command */
#define RB_COMMANDS(X)                                                                                                                 \
    /* name, function, words behind it, how many at least and at most, an option that it does not need, help, description, examples */ \
    X(setup, run_setup, NULL, 0, 0, NULL,                                                                                              \
      "make the tables, topics and schemas that are needed, and check the store; safe to run again",                                   \
      "Topics that are there stay as they are. video.stored and video.deleted are made to keep the newest event of\n"                  \
      "each video for ever (compacted), so that who subscribes late learns of all; the others keep everything for\n"                   \
      "topic_retention_ms, from which they can be replayed. A schema must fit to what the registry has.\n",                            \
      "  reelbus-consumer setup --topic-partitions 12 --topic-replication 3\n"                                                         \
      "  reelbus-consumer setup --check\n"                                                                                             \
      "  reelbus-consumer setup --acls\n")                                                                                             \
    X(cleanup, rb_cleanup, NULL, 0, 0, NULL,                                                                                           \
      "remove videos by rules of retention, and what killed processes have left unfinished in the store",                              \
      "Without a flag of its own it does what the options retention_... say, and removes unfinished uploads. With some,\n"             \
      "only what they say. Each store is looked at by itself, the oldest videos go first, and none that is younger\n"                  \
      "than retention_min_age_ms. The row goes first, and gives the application its original URL back; then comes\n"                   \
      "video.deleted, and the object is removed. May be ended and run again at any time: what is half done then is\n"                  \
      "finished by a running consumer, or by the next cleanup, after five minutes.\n"                                                  \
      "--user is for somebody's right to erasure: all videos of that user go, in whatever state and of whatever age,\n"                \
      "with their URLs and their history. The application's own rows stay, without the URLs that came from here; what\n"               \
      "Kafka has of it stays until topics let it go. No record brings such a video back.\n"                                            \
      "--orphans looks at all objects of the bucket (file and S3), and removes those that have a name that\n"                          \
      "key_template makes, and no row. They are orphans only if this database knows all that is in the bucket: not when\n"             \
      "another one shares it, or when it was restored from a backup of last week. So it stops, with 4, where most\n"                   \
      "of what it looks at is unknown, unless --orphans-most says that this is meant. Look with --dry-run first.\n"                    \
      "In a bucket with versions, what is removed stays as an old version until a rule of the bucket lets it go; for\n"                \
      "--user, too, that is for you to see to.\n",                                                                                     \
      "  reelbus-consumer cleanup --older-than 90d --dry-run\n"                                                                        \
      "  reelbus-consumer cleanup --max-bytes 100GB --low 90GB\n"                                                                      \
      "  reelbus-consumer cleanup --max-user-videos 500 --retention-min-age-ms 7d --json\n"                                            \
      "  reelbus-consumer cleanup --user 7d1f0a52-7f43-4c53-8c1e-2b7d6f1f6a11 --dry-run\n"                                             \
      "  reelbus-consumer cleanup --orphans --orphan-age 7d --dry-run\n"                                                               \
      "  reelbus-consumer cleanup --uploads --cleanup-uploads-ms 6h\n")                                                                \
    X(tail, rb_tail, "[TOPIC]...", 0, RB_OPERANDS_MAX, "database_url",                                                                 \
      "follow topics as readable lines or JSON, decoded; dead letters too",                                                            \
      "TOPIC is a name without topic_prefix; without any, all topics of reelbus are read. It begins behind the\n"                      \
      "newest record, or where --since or --offset says, and follows until Ctrl-C, --count or --until. It is in\n"                     \
      "no group, commits nothing, and shows what is committed. Lines show URLs without their query, --json shows\n"                    \
      "all there is.\n",                                                                                                               \
      "  reelbus-consumer tail\n"                                                                                                      \
      "  reelbus-consumer tail video.stored --since 15m --until now --json | jq .event.bytes\n"                                        \
      "  reelbus-consumer tail --video 6b3f0c52-7f43-4c53-8c1e-2b7d6f1f6a11 --since 2026-10-01\n"                                      \
      "  reelbus-consumer tail video.store.dlq --offset beginning --count 10\n")                                                       \
    X(inspect, rb_inspect, "VIDEO", 1, 1, NULL,                                                                                        \
      "tell one video's whole story: its rows, what happened, its object, and what comes next",                                        \
      "VIDEO is its UUID, or the provider's id of it. The store is asked whether the object is there and what the\n"                   \
      "row says. Lines show URLs without their query, --json shows all there is.\n",                                                   \
      "  reelbus-consumer inspect 6b3f0c52-7f43-4c53-8c1e-2b7d6f1f6a11\n"                                                              \
      "  reelbus-consumer inspect video_abc123 --json | jq .row.state\n")                                                              \
    X(usage, rb_usage_report, NULL, 0, 0, NULL,                                                                                        \
      "show how much is stored, by store, day and user, and how long the room will last",                                              \
      "Days are those of UTC: what has come, less what has gone. With --user, what was stored on them and is still\n"                  \
      "there. The quota is that of the options, for the first store; without one, what consumers have noted.\n"                        \
      "It ends with 4 when no more is stored.\n",                                                                                      \
      "  reelbus-consumer usage --quota-bytes 100GB\n"                                                                                 \
      "  reelbus-consumer usage --user 7d1f0a52-7f43-4c53-8c1e-2b7d6f1f6a11 --days 30\n"                                               \
      "  reelbus-consumer usage --json | jq '.stores[0].quota.days_left'\n")                                                           \
    X(verify, rb_verify_objects, NULL, 0, 0, NULL,                                                                                     \
      "ask the store for all that the database calls stored, and have stored again what is missing or wrong",                          \
      "A line for each video whose object is missing, other (of another size or hash) or unknown (nobody could say),\n"                \
      "then the sums. --since and --until are about when it was stored. --repair sets the row back, so that the\n"                     \
      "application has the original URL again, and sends the video's record once more: the running consumers fetch\n"                  \
      "it, with a fresh URL from the provider when the old one is dead. The object that is there stays until then.\n"                  \
      "May be ended and run again at any time; what was set back and not stored since is sent again.\n",                               \
      "  reelbus-consumer verify\n"                                                                                                    \
      "  reelbus-consumer verify --hash --since 7d --json | jq -r 'select(.verdict) | .video_id'\n"                                    \
      "  reelbus-consumer verify --repair\n")                                                                                          \
    X(replay, rb_replay, NULL, 0, 0, NULL, "read the input topics once more, and store whatever is not stored",                        \
      "What is stored is passed over; for dead URLs the provider is asked. Running consumers go on beside it: their\n"                 \
      "offsets stay, and no video is announced twice. It keeps how far it is in the group <group>.replay: after\n"                     \
      "Ctrl-C or kill -9 the same command goes on. A store that was lost is filled again with --state missing, as far\n"               \
      "as the sources still have the videos. What a consumer has worked on for more than five minutes, or a paused\n"                  \
      "group holds, may be fetched twice. It ends with 4 when some could not be stored.\n",                                            \
      "  reelbus-consumer replay --dry-run\n"                                                                                          \
      "  reelbus-consumer replay --since 2026-10-01 --until now --state failed,missing\n"                                              \
      "  reelbus-consumer replay --video 6b3f0c52-7f43-4c53-8c1e-2b7d6f1f6a11 --state failed\n"                                        \
      "  reelbus-consumer replay --since 7d --rate 20 --max 1000 --json\n")                                                            \
    X(backfill, rb_backfill, NULL, 0, 0, NULL, "put videos on the bus that nobody has ever told of",                                   \
      "Those are the rows of the application's table whose URL points outside and that reelbus does not know. They are\n"              \
      "published as events; running consumers store them, --store-now or a replay. Run again, it publishes what is new.\n",            \
      "  reelbus-consumer backfill --from-database --dry-run\n"                                                                        \
      "  reelbus-consumer backfill --from-database --store-now --rate 50\n")                                                           \
    X(pause, rb_pause, NULL, 0, 0, NULL, "store nothing for now, with all members of the group left where they are",                   \
      "The members notice within a second. They begin no transfer any more; those that run go on to their end. What\n"                 \
      "comes meanwhile waits on Kafka. Programs that are started stay paused. It is in the database, so it outlives\n"                 \
      "them all, until resume. With --dry-run, it is shown whether the group is paused.\n",                                            \
      "  reelbus-consumer pause --lasts 2h --reason 'the bucket moves'\n"                                                              \
      "  reelbus-consumer pause --dry-run\n")                                                                                          \
    X(resume, rb_resume, NULL, 0, 0, NULL, "store again what was paused", NULL, "  reelbus-consumer resume\n")                         \
    X(drain, rb_drain, NULL, 0, 0, NULL, "pause, and wait until nothing runs: before a deploy",                                        \
      "It waits until each member that Kafka knows has told that it works on nothing any more. When the time is up it\n"               \
      "ends with 4, and the group stays paused, as it does after Ctrl-C.\n",                                                           \
      "  reelbus-consumer drain --timeout 15m --lasts 1h && deploy && reelbus-consumer resume\n")                                      \
    X(redrive, rb_redrive, "[VIDEO]...", 0, RB_OPERANDS_MAX, NULL, "send dead letters and final failures once more",                   \
      "A dead letter goes back to the topic that it came from: the same bytes, key and headers, and the header\n"                      \
      "reelbus-redrive-count. A failure is tried once more from its source, or a fresh URL of its provider; what comes\n"              \
      "of it is its next attempt. VIDEO is a UUID; without any, all are meant, but for videos that the provider could\n"               \
      "not make (--code generation_failed). --since and --until are about when it was set aside or given up. May be\n"                 \
      "ended and run again at any time: nothing is sent twice. It ends with 4 when something was left, and says why.\n",               \
      "  reelbus-consumer redrive --dry-run\n"                                                                                         \
      "  reelbus-consumer redrive --source failed --class quota --since 7d --rate 20\n"                                                \
      "  reelbus-consumer redrive --source dlq --code unknown_schema\n"                                                                \
      "  reelbus-consumer redrive 6b3f0c52-7f43-4c53-8c1e-2b7d6f1f6a11 --json\n")
/* clang-format on */
