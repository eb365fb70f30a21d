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
    X(listen, TEXT, "127.0.0.1:8080", 3, 4096, "",                                                                     \
      "where the HTTP server listens, several parted by commas: host:port, *:port, unix:/path, systemd or "            \
      "systemd:NAME for sockets of that unit; plain: before one means without TLS")                                    \
    X(listen_mode, TEXT, "0660", 3, 4, "", "rights of the file of a unix socket, in octal")                            \
    X(tls_cert, TEXT, "", 0, 4096, "",                                                                                 \
      "certificate chain in PEM; with it the server speaks TLS, but not on unix sockets; read again on SIGHUP")        \
    X(tls_key, TEXT, "", 0, 4096, "", "private key of that certificate, in PEM, without a passphrase")                 \
    X(webhook_secret, SECRET, "", 0, 4096, "VIDEO_WEBHOOK_SECRET",                                                     \
      "shared secret of the plain webhook; several, parted by commas or line feeds, are all valid")                    \
    X(openai_webhook_secret, SECRET, "", 0, 4096, "OPENAI_WEBHOOK_SECRET",                                             \
      "whsec_... of an OpenAI-compatible provider: its webhooks are taken at /webhooks/openai without a file")         \
    X(webhook_signature_secret, SECRET, "", 0, 4096, "",                                                               \
      "with it, the plain webhook needs x-webhook-signature too: the hex HMAC-SHA256 of its body; a list as well")     \
    X(resolve_timeout_ms, MS, "3s", 100, 60000, "",                                                                    \
      "how long a provider's API may take to complete a webhook that carries only an id")                              \
    X(check_videos, BOOL, "true", 0, 1, "",                                                                            \
      "ask the database whether the application has the video, before publishing; otherwise the consumer does")        \
    X(body_max_bytes, BYTES, "64KiB", 64, 1048576, "", "largest body of a webhook")                                    \
    X(publish_timeout_ms, MS, "5s", 100, 300000, "",                                                                   \
      "how long Kafka may take to acknowledge before the sender is answered 503")                                      \
    X(retry_after_s, NUMBER, "5", 1, 3600, "", "Retry-After of a 503, in seconds")                                     \
    X(spool, TEXT, "", 0, 4096, "",                                                                                    \
      "folder for webhooks that Kafka cannot take now; they are answered 200 and go to Kafka later; empty: no spool")  \
    X(spool_max_bytes, BYTES, "256MiB", 262144, 1099511627776, "",                                                     \
      "largest size of the spool; a full one answers 503")                                                             \
    X(max_connections, NUMBER, "16384", 16, 1000000, "",                                                               \
      "HTTP connections at once; when they are all there, the one whose request is longest in coming is closed")       \
    X(max_connections_per_address, NUMBER, "64", 0, 1000000, "",                                                       \
      "of them from one IPv4 address or IPv6 /64, trusted proxies excepted; 0: no limit")                              \
    X(max_requests_per_connection, NUMBER, "10000", 0, 1000000000, "",                                                 \
      "after which a connection is closed, so that load spreads anew; 0: no limit")                                    \
    X(head_timeout_ms, MS, "10s", 100, 600000, "",                                                                     \
      "time for the head of a request to come, from the connection's or the request's first byte on")                  \
    X(request_timeout_ms, MS, "15s", 100, 600000, "", "time for head and body together")                               \
    X(idle_timeout_ms, MS, "15s", 100, 600000, "",                                                                     \
      "an HTTP connection on which no new request begins, or no answer is taken, for so long is closed")               \
    X(poll, TEXT, "auto", 3, 4, "",                                                                                    \
      "auto: ask providers about videos that wait; off: never; only: and take no webhooks, then no secret is needed")  \
    X(poll_interval_ms, MS, "5s", 100, 86400000, "", "time between two polls of a video, a fifth more or less")        \
    X(poll_grace_ms, MS, "30s", 0, 86400000, "",                                                                       \
      "the same while webhooks of its provider come, and its age at the first poll; a later webhook counts as missed") \
    X(poll_webhook_trust_ms, MS, "10m", 0, 86400000, "", "webhooks of a provider come when one came within this time") \
    X(poll_deadline_ms, MS, "24h", 1000, 31536000000, "",                                                              \
      "a video whose provider has not finished it after so long has failed")                                           \
    X(poll_missing_ms, MS, "10m", 0, 86400000, "", "a video that its provider has not known for so long has failed")   \
    X(poll_announce_ms, MS, "5m", 1000, 86400000, "",                                                                  \
      "an end that no consumer has taken up after so long is asked for and published again")                           \
    X(poll_adopt_age_ms, MS, "24h", 1000, 31536000000, "",                                                             \
      "with column_provider: rows of the application that are older are left alone")                                   \
    X(poll_adopt_status, TEXT, "pending", 0, 1024, "",                                                                 \
      "with column_provider: what the status of rows that wait may be, parted by commas; empty: anything")             \
    X(trusted_proxies, TEXT, "loopback", 0, 4096, "",                                                                  \
      "whose word on the client's address counts: addresses, CIDR ranges, loopback, private, none; parted by commas")  \
    X(client_header, TEXT, "X-Forwarded-For", 1, 32, "",                                                               \
      "the header in which those proxies tell it, X-Forwarded-For or Forwarded; the other one is not read")            \
    X(rate_limit_address, TEXT, "0", 1, 60, "",                                                                        \
      "webhooks from one IPv4 address or IPv6 /64, such as '100/s' or '600/m burst 50'; 0: no limit")                  \
    X(rate_limit_scheme, TEXT, "0", 1, 60, "", "webhooks of one route from all addresses together; 0: no limit")       \
    X(rate_limit_status, TEXT, "0", 1, 60, "", "requests of the status API from one address; 0: no limit")             \
    X(status_api_keys, SECRET, "", 0, 4096, "",                                                                        \
      "keys for the status API, parted by commas, as 'Authorization: Bearer KEY' or X-Api-Key; empty: no key needed")  \
    X(cors_origins, TEXT, "", 0, 4096, "",                                                                             \
      "origins whose pages may read the status API, such as https://app.example.com, parted by commas; * for all")     \
    X(status_page, BOOL, "true", 0, 1, "", "serve the status page, the list of recent videos and the usage page")      \
    X(listen_url, SECRET, "", 0, 4096, "",                                                                             \
      "Postgres connection for LISTEN, which needs a session: not through a transaction pooler; empty: database_url")  \
    X(looks_max, NUMBER, "100000", 1, 10000000, "",                                                                    \
      "videos that are looked at at once, summed over all streams and waiting requests; then 503")                     \
    X(media_dir, TEXT, "", 0, 4096, "",                                                                                \
      "serve stored files below this folder at /media/, for trying things out; empty: do not")
/* clang-format on */

struct producer_options {
    struct rb_common_options common;
    PRODUCER_OPTIONS(RB_OPTION_FIELD)
};
