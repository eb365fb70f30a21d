/*
 * common_options.h — the options that both programs have.
 *
 * Way:  common
 */
#pragma once

#include "common/options.h"

/* clang-format off: one row, one line */
#define RB_COMMON_OPTIONS(X)                                                                                                   \
    /* name                    type    default           min  max       also                    help */                        \
    X(kafka_brokers, TEXT, "localhost:9092", 1, 4096, "KAFKA_BROKERS", "host:port list of the Kafka brokers")                  \
    X(kafka, PAIRS, "", 0, 0, "",                                                                                              \
      "a setting of librdkafka's own, key=value; in the environment several are joined by ';'")                                \
    X(topic_prefix, TEXT, "", 0, 100, "", "put before the name of every topic")                                                \
    X(schema_registry_url, TEXT, "", 0, 2048, "SCHEMA_REGISTRY_URL",                                                           \
      "schema registry; values are in Confluent's wire format with one, in Avro's single-object encoding without")             \
    X(schema_registry_auth, SECRET, "", 0, 1024, "", "user:password for the schema registry")                                  \
    X(schema_registry_register, BOOL, "true", 0, 1, "", "register our schemas at start; otherwise they must be there")         \
    X(database_url, SECRET, "", 1, 4096, "DATABASE_URL",                                                                       \
      "Postgres connection, as libpq reads it: postgresql://user@host/db?sslmode=verify-full")                                 \
    X(db_connect_timeout_ms, MS, "5s", 100, 60000, "", "how long connecting to Postgres may take")                             \
    X(db_timeout_ms, MS, "5s", 100, 600000, "",                                                                                \
      "how long Postgres may take to answer before the connection is given up; commands wait at least 1m, the usage page 25s") \
    X(table, TEXT, "video_history", 1, 127, "", "the application's table of videos, schema.table or table")                    \
    X(column_id, TEXT, "id", 1, 63, "", "its column with the video's UUID")                                                    \
    X(column_user_id, TEXT, "user_id", 1, 63, "", "its column with the owner")                                                 \
    X(column_video_url, TEXT, "video_url", 1, 63, "", "its column with the URL")                                               \
    X(column_status, TEXT, "status", 1, 63, "", "its column with the status")                                                  \
    X(column_created_at, TEXT, "created_at", 1, 63, "", "its column with the time of creation")                                \
    X(column_provider, TEXT, "", 0, 63, "",                                                                                    \
      "its column with the provider's name, if it has one: then videos that wait are found there")                             \
    X(column_provider_video_id, TEXT, "", 0, 63, "", "its column with the provider's id of the video")                         \
    X(providers, TEXT, "", 0, 4096, "",                                                                                        \
      "JSON file that names the providers, their APIs and webhooks, see deploy/providers.md; empty: none")                     \
    X(openai_base_url, TEXT, "", 0, 2048, "OPENAI_BASE_URL",                                                                   \
      "API of an OpenAI-compatible provider, which is then named 'openai' without a file: https://host/v1")                    \
    X(openai_api_key, SECRET, "", 0, 4096, "OPENAI_API_KEY", "its key")                                                        \
    X(otlp_url, TEXT, "", 0, 2048, "OTEL_EXPORTER_OTLP_ENDPOINT",                                                              \
      "collector that traces go to, by OTLP over HTTP in JSON: http://host:4318; empty: none")                                 \
    X(otlp_headers, SECRET, "", 0, 4096, "OTEL_EXPORTER_OTLP_HEADERS", "headers for it: name=value, parted by commas")         \
    X(traces_sampler, TEXT, "parentbased_always_on", 1, 64, "OTEL_TRACES_SAMPLER",                                             \
      "which traces go there: always_on, always_off, traceidratio; parentbased_ before it: those begun elsewhere, as there")   \
    X(traces_sampler_arg, TEXT, "1", 0, 64, "OTEL_TRACES_SAMPLER_ARG",                                                         \
      "for traceidratio: which part of them, from 0 to 1")                                                                     \
    X(log_level, TEXT, "info", 1, 10, "",                                                                                      \
      "crit, warning, notice, info or debug; SIGUSR1 shows one more while it runs, SIGUSR2 one less")                          \
    X(log_format, TEXT, "logfmt", 1, 10, "", "logfmt: lines of key=value; json: an object for each")                           \
    X(watchdog_ms, MS, "2m", 0, 3600000, "",                                                                                   \
      "a program that gets stuck for so long ends with status 3, for its supervisor to start it again; 0: never")              \
    X(shutdown_ms, MS, "20s", 100, 600000, "", "time to finish what was begun after SIGTERM")
/* clang-format on */

struct rb_common_options {
    RB_COMMON_OPTIONS(RB_OPTION_FIELD)
};

/* A row of a program's table. `of` is the program's options struct; `field` is where in it the value goes. */
#define RB_OPTION_ROW(of, field, name, type, default_, min, max, also, help)                                           \
    {#name, RB_OPTION_##type, default_, min, max, also, help, offsetof(struct of, field), NULL},
