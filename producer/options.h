/*
 * options.h — the options of reelbus-producer.
 *
 * Way:  producer
 */
#pragma once

#include "common/common_options.h"

/* clang-format off: one row, one line */
#define PRODUCER_OPTIONS(X)                                                                                            \
    /* name                type    default           min  max      also                    help */                     \
    X(listen, TEXT, "127.0.0.1:8080", 3, 255, "", "address and port of the HTTP server, host:port or *:port")          \
    X(webhook_secret, SECRET, "", 1, 4096, "VIDEO_WEBHOOK_SECRET",                                                     \
      "shared secret of the plain webhook; several, parted by commas or line feeds, are all valid")                    \
    X(openai_webhook_secret, SECRET, "", 0, 4096, "OPENAI_WEBHOOK_SECRET",                                             \
      "whsec_... of an OpenAI-compatible provider: its webhooks are taken at /webhooks/openai without a file")         \
    X(body_max_bytes, BYTES, "64KiB", 64, 1048576, "", "largest body of a webhook")                                    \
    X(publish_timeout_ms, MS, "5s", 100, 300000, "",                                                                   \
      "how long Kafka may take to acknowledge before the sender is answered 503")                                      \
    X(retry_after_s, NUMBER, "5", 1, 3600, "", "Retry-After of a 503, in seconds")                                     \
    X(max_connections, NUMBER, "4096", 16, 1000000, "", "HTTP connections at once")                                    \
    X(idle_timeout_ms, MS, "30s", 1000, 600000, "", "an HTTP connection that sends nothing for so long is closed")     \
    X(status_page, BOOL, "true", 0, 1, "", "serve the status page and the list of recent videos")                      \
    X(media_dir, TEXT, "", 0, 4096, "",                                                                                \
      "serve stored files below this folder at /media/, for trying things out; empty: do not")
/* clang-format on */

struct producer_options {
    struct rb_common_options common;
    PRODUCER_OPTIONS(RB_OPTION_FIELD)
};
