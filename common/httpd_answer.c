/*
 * httpd_answer.c — writes answers: status, date, headers, where the body ends.
 *
 * Way:  common
 */
#include <time.h>

#include "common/clock.h"
#include "common/httpd_inside.h"

static const struct {
    unsigned status;
    const char *text;
} reasons[] = {
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(unsigned status)
{
    for (size_t i = 0; i < RB_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "";
}

/* RFC 9110 wants a date, in English whatever the locale. Written once a second. */
static const char *date_now(struct rb_httpd *httpd)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now_s = (time_t)(rb_clock_unix_ms() / 1000);
    struct tm tm;

    if (now_s == httpd->date_s)
        return httpd->date;
    httpd->date_s = now_s;
    gmtime_r(&now_s, &tm);
    snprintf(httpd->date, sizeof(httpd->date), "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + tm.tm_wday * 3,
             tm.tm_mday, months + tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    return httpd->date;
}

static void add(struct rb_buffer *head, const char *text)
{
    rb_buffer_add(head, text, strlen(text));
}

/* A value with a line feed would be a header more, and one that somebody else chose. It is left out. */
static void add_header(struct rb_buffer *head, const char *name, const char *value)
{
    if (strpbrk(name, "\r\n") != NULL || strpbrk(value, "\r\n") != NULL)
        return;
    add(head, name);
    rb_buffer_add(head, ": ", 2);
    add(head, value);
    rb_buffer_add(head, "\r\n", 2);
}

/* The end of the connection is the end of a body whose length nobody knows, for HTTP/1.0. */
static void add_framing(struct rb_buffer *head, const struct rb_conn *conn, unsigned status, bool http_1_0,
                        int64_t body_bytes)
{
    char line[48];

    if (body_bytes < 0) {
        if (!http_1_0)
            add(head, "Transfer-Encoding: chunked\r\n");
    } else if (status != 204 && status != 304) {
        int length = snprintf(line, sizeof(line), "Content-Length: %lld\r\n", (long long)body_bytes);

        rb_buffer_add(head, line, (size_t)length);
    }
    if (!conn->keep_alive)
        add(head, "Connection: close\r\n");
    else if (http_1_0)
        add(head, "Connection: keep-alive\r\n");
}

void rb_answer_head(struct rb_conn *conn, const struct rb_exchange *exchange, const struct rb_reply *reply,
                    int64_t body_bytes)
{
    struct rb_buffer *head = &conn->httpd->head;
    char line[16];

    head->used = 0;
    rb_buffer_add(head, line, (size_t)snprintf(line, sizeof(line), "HTTP/1.1 %03u ", reply->status % 1000));
    add(head, reason_of(reply->status));
    add(head, "\r\nDate: ");
    add(head, date_now(conn->httpd));
    rb_buffer_add(head, "\r\n", 2);
    if (reply->content_type != NULL)
        add_header(head, "Content-Type", reply->content_type);
    add(head, "X-Content-Type-Options: nosniff\r\n");
    for (size_t i = 0; i < RB_COUNT(reply->headers) && reply->headers[i].name != NULL; i++)
        add_header(head, reply->headers[i].name, reply->headers[i].value);
    for (size_t i = 0; exchange != NULL && i < exchange->added_count; i++)
        add_header(head, exchange->added[i].name, exchange->added[i].value);
    add_framing(head, conn, reply->status, exchange != NULL && exchange->head.http_1_0, body_bytes);
    rb_buffer_add(head, "\r\n", 2);
}

void rb_conn_refuse(struct rb_conn *conn, unsigned status)
{
    char body[96];
    struct rb_reply reply = {.status = status, .content_type = "application/json"};
    size_t body_bytes = (size_t)snprintf(body, sizeof(body), "{\"error\":\"%s\"}", reason_of(status));

    conn->httpd->counts.bad++;
    conn->keep_alive = false;
    rb_answer_head(conn, NULL, &reply, (int64_t)body_bytes);
    rb_conn_answered(conn, rb_conn_send(conn, &conn->httpd->head, body, body_bytes, false));
}
