/* What each format of a body says. Single quotes stand for double ones, so that JSON can be read here. */
#include "tests/unit/unit.h"

#include "producer/notice.h"

#define OURS "7f3a0c4e-9b1d-4c2f-8a5e-0123456789ab"

static const struct rb_provider_webhook plain = {.body = RB_BODY_PLAIN}, openai = {.body = RB_BODY_OPENAI},
                                        replicate = {.body = RB_BODY_REPLICATE},
                                        openrouter = {.body = RB_BODY_OPENROUTER}, fal = {.body = RB_BODY_FAL};

static char completed_word[] = "done", failed_word[] = "error", expired_word[] = "gone";
static char *completed_words[] = {completed_word}, *failed_words[] = {failed_word}, *expired_words[] = {expired_word};
static char id_at[] = "/job/id", ours_at[] = "/meta/ours", status_at[] = "/job/state", url_at[] = "/result/url",
            code_at[] = "/why/code", message_at[] = "/why/text", expires_at[] = "/result/until",
            completed_at[] = "/job/at";
static const struct rb_provider_webhook generic = {
    .body = RB_BODY_GENERIC,
    .fields = {.id = id_at,
               .video_id = ours_at,
               .status = status_at,
               .video_url = url_at,
               .error_code = code_at,
               .error_message = message_at,
               .expires_at = expires_at,
               .completed_at = completed_at,
               .completed = {completed_words, 1},
               .failed = {failed_words, 1},
               .expired = {expired_words, 1}},
};

static int parse(const struct rb_provider_webhook *webhook, const char *text, struct rb_notice *ret_notice,
                 struct rb_error *err)
{
    RB_AUTO_TEXT *body = rb_xstrdup(text);

    for (char *c = body; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    return rb_notice_parse(webhook, body, strlen(body), ret_notice, err);
}

static const char *or_none(const char *text)
{
    return text != NULL ? text : "none";
}

/* Texts that are not named are not there. */
struct row {
    const struct rb_provider_webhook *webhook;
    const char *body;
    enum rb_notice_status status;
    const char *ours, *theirs, *url, *code, *message;
    int64_t expires_ms, completed_ms;
};

static void assert_row(size_t at, const struct row *row)
{
    RB_AUTO_NOTICE notice = {0};
    struct rb_error err = {0};

    if (parse(row->webhook, row->body, &notice, &err) < 0)
        fail_msg("row %zu: %s", at, err.message);
    if (notice.status != row->status)
        fail_msg("row %zu: status %s", at, rb_notice_status_name(notice.status));
    if (row->status == RB_NOTICE_OTHER)
        return;
    assert_string_equal(notice.video_id, row->ours != NULL ? row->ours : "");
    assert_string_equal(or_none(notice.provider_video_id), or_none(row->theirs));
    assert_string_equal(or_none(notice.video_url), or_none(row->url));
    assert_string_equal(or_none(notice.error_code), or_none(row->code));
    assert_string_equal(or_none(notice.error_message), or_none(row->message));
    assert_true(notice.expires_at == (row->expires_ms != 0 ? row->expires_ms : RB_NO_LONG));
    assert_true(notice.completed_at == (row->completed_ms != 0 ? row->completed_ms : RB_NO_LONG));
}

static void each_format_says_what_it_says(void **state)
{
    static const struct row rows[] = {
        {&openai, "{'id':'evt_1','object':'event','type':'video.completed','data':{'id':'video_1'}}",
         RB_NOTICE_COMPLETED, .theirs = "video_1"},
        {&openai, "{'type':'video.failed','data':{'id':'video_1'}}", RB_NOTICE_FAILED, .theirs = "video_1"},
        {&openai, "{'type':'video.completed','data':{'id':'v','url':'https://h/v.mp4','expires_at':1795372200}}",
         RB_NOTICE_COMPLETED, .theirs = "v", .url = "https://h/v.mp4", .expires_ms = INT64_C(1795372200000)},
        {&openai, "{'type':'video.failed','data':{'id':'v','error':{'code':'moderation','message':'no'}}}",
         RB_NOTICE_FAILED, .theirs = "v", .code = "moderation", .message = "no"},
        {&openai, "{'type':'video.completed','created_at':1795372200,'data':{'id':'v'}}", RB_NOTICE_COMPLETED,
         .theirs = "v", .completed_ms = INT64_C(1795372200000)},
        {&openai, "{'type':'video.failed','created_at':1795372200,'data':{'id':'v','completed_at':1795372100}}",
         RB_NOTICE_FAILED, .theirs = "v", .completed_ms = INT64_C(1795372100000)},
        {&openai, "{'type':'video.completed','created_at':'soon','data':{'id':'v','completed_at':null}}",
         RB_NOTICE_COMPLETED, .theirs = "v"},
        {&openai, "{'type':'response.completed','data':{'id':'resp_1'}}", RB_NOTICE_OTHER, .ours = NULL},
        {&openai, "{'type':'video.created'}", RB_NOTICE_OTHER, .ours = NULL},
        {&replicate, "{'id':'p1','status':'succeeded','output':'https://h/v.mp4','error':null}", RB_NOTICE_COMPLETED,
         .theirs = "p1", .url = "https://h/v.mp4"},
        {&replicate, "{'id':'p1','status':'succeeded','output':['https://h/v.mp4','https://h/w.mp4']}",
         RB_NOTICE_COMPLETED, .theirs = "p1", .url = "https://h/v.mp4"},
        {&replicate, "{'id':'p1','status':'canceled','completed_at':'2026-11-22T18:30:00.5Z'}", RB_NOTICE_FAILED,
         .theirs = "p1", .code = "canceled", .completed_ms = INT64_C(1795372200500)},
        {&replicate, "{'id':'p1','status':'failed','output':null,'error':'out of memory'}", RB_NOTICE_FAILED,
         .theirs = "p1", .message = "out of memory"},
        {&replicate, "{'id':'p1','status':'canceled'}", RB_NOTICE_FAILED, .theirs = "p1", .code = "canceled"},
        {&replicate, "{'id':'p1','status':'starting'}", RB_NOTICE_OTHER, .ours = NULL},
        {&replicate, "{'id':'p1','status':'processing','output':['https://h/early.mp4']}", RB_NOTICE_OTHER,
         .ours = NULL},
        {&openrouter,
         "{'type':'video.generation.completed','data':{'id':'g1','unsigned_urls':['https://h/v'],'usage':{'cost':1}}}",
         RB_NOTICE_COMPLETED, .theirs = "g1", .url = "https://h/v"},
        {&openrouter, "{'type':'video.generation.expired','created_at':1795372200,'data':{'id':'g1'}}",
         RB_NOTICE_FAILED, .theirs = "g1", .code = "expired", .completed_ms = INT64_C(1795372200000)},
        {&openrouter, "{'type':'video.generation.failed','data':{'id':'g1','error':'no'}}", RB_NOTICE_FAILED,
         .theirs = "g1", .message = "no"},
        {&openrouter, "{'type':'video.generation.cancelled','data':{'id':'g1'}}", RB_NOTICE_FAILED, .theirs = "g1",
         .code = "cancelled"},
        {&openrouter, "{'type':'video.generation.expired','data':{'id':'g1'}}", RB_NOTICE_FAILED, .theirs = "g1",
         .code = "expired"},
        {&openrouter, "{'type':'video.generation.started','data':{'id':'g1'}}", RB_NOTICE_OTHER, .ours = NULL},
        {&openrouter, "{'type':'chat.completed'}", RB_NOTICE_OTHER, .ours = NULL},
        {&fal, "{'request_id':'r1','gateway_request_id':'r2','status':'OK','payload':{'video':{'url':'https://h/v'}}}",
         RB_NOTICE_COMPLETED, .theirs = "r1", .url = "https://h/v"},
        {&fal, "{'request_id':'r1','status':'OK','payload':{'videos':[{'url':'https://h/v'}]},'error':null}",
         RB_NOTICE_COMPLETED, .theirs = "r1", .url = "https://h/v"},
        {&fal, "{'request_id':'r1','status':'OK','payload':null}", RB_NOTICE_COMPLETED, .theirs = "r1"},
        {&fal, "{'request_id':'r1','status':'ERROR','error':'Invalid status code: 422','payload':{}}", RB_NOTICE_FAILED,
         .theirs = "r1", .message = "Invalid status code: 422"},
        {&generic, "{'job':{'id':'j1','state':'done'},'result':{'url':'https://h/v','until':'2026-11-22T18:30:00Z'}}",
         RB_NOTICE_COMPLETED, .theirs = "j1", .url = "https://h/v", .expires_ms = INT64_C(1795372200000)},
        {&generic, "{'job':{'id':'j1','state':'done'},'meta':{'ours':'7F3A0C4E-9b1d-4c2f-8a5e-0123456789ab'}}",
         RB_NOTICE_COMPLETED, .ours = OURS, .theirs = "j1"},
        {&generic, "{'job':{'id':'j1','state':'gone'},'meta':{'ours':null}}", RB_NOTICE_FAILED, .theirs = "j1",
         .code = "expired"},
        {&generic, "{'job':{'state':'error'},'meta':{'ours':'" OURS "'},'why':{'code':'x','text':'y'}}",
         RB_NOTICE_FAILED, .ours = OURS, .code = "x", .message = "y"},
        {&generic, "{'job':{'id':'j1','state':'done','at':1795372200}}", RB_NOTICE_COMPLETED, .theirs = "j1",
         .completed_ms = INT64_C(1795372200000)},
        {&generic, "{'job':{'id':'j1','state':'gone'}}", RB_NOTICE_FAILED, .theirs = "j1", .code = "expired"},
        {&generic, "{'job':{'state':'running'}}", RB_NOTICE_OTHER, .ours = NULL},
        {&plain, "{'videoId':'" OURS "','status':'completed','videoUrl':'https://h/v'}", RB_NOTICE_COMPLETED,
         .ours = OURS, .url = "https://h/v"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_row(i, &rows[i]);
}

static void what_a_body_lacks_is_named(void **state)
{
    static const struct {
        const struct rb_provider_webhook *webhook;
        const char *body, *words;
    } rows[] = {
        {&openai, "{}", "type"},
        {&openai, "{'type':1}", "type"},
        {&openai, "{'type':'video.completed'}", "data.id"},
        {&openai, "{'type':'video.completed','data':[]}", "data.id"},
        {&openai, "{'type':'video.completed','data':{'id':7}}", "data.id"},
        {&openai, "{'type':'video.completed','data':{'id':''}}", "data.id"},
        {&openai, "{'type':'video.failed','data':{'id':'a b'}}", "data.id"},
        {&openai, "{'type':'video.completed','type':'video.failed','data':{'id':'v'}}", "JSON"},
        {&openai, "[]", "object"},
        {&replicate, "{}", "id"},
        {&replicate, "{'id':'p1'}", "status"},
        {&replicate, "{'id':'p1','status':null}", "status"},
        {&replicate, "{'status':'succeeded'}", "id"},
        {&openrouter, "{'data':{'id':'g1'}}", "type"},
        {&openrouter, "{'type':'video.generation.completed','data':{}}", "data.id"},
        {&fal, "{'request_id':'r1'}", "status"},
        {&fal, "{'request_id':'r1','status':'ok'}", "status"},
        {&fal, "{'status':'OK'}", "request_id"},
        {&generic, "{'job':{'id':'j1'}}", "status"},
        {&generic, "{'job':{'id':'j1','state':{}}}", "status"},
        {&generic, "{'job':{'state':'done'}}", "/job/id"},
        {&generic, "{'job':{'state':'done'},'meta':{'ours':'x'}}", "/meta/ours"},
        {&generic, "{'job':{'state':'done','id':''}}", "/job/id"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_NOTICE notice = {0};
        struct rb_error err = {0};

        if (parse(rows[i].webhook, rows[i].body, &notice, &err) == 0)
            fail_msg("%s was taken", rows[i].body);
        assert_int_equal(err.code, RB_E_BAD_REQUEST);
        if (strstr(err.message, rows[i].words) == NULL)
            fail_msg("%s: '%s' does not name '%s'", rows[i].body, err.message, rows[i].words);
    }
}

static void what_nobody_reads_may_be_long_but_what_is_kept_of_an_error_is_not(void **state)
{
    char *text = rb_xalloc(20001);
    RB_AUTO_NOTICE notice = {0};

    (void)state;
    memset(text, 'x', 20000);

    RB_AUTO_TEXT *body = rb_xprintf("{'id':'p1','status':'failed','error':'%s','logs':'%s'}", text, text);
    RB_AUTO_TEXT *event = rb_xprintf("{'type':'video.failed','data':{'id':'v','prompt':'%s'}}", text);
    RB_AUTO_TEXT *own = rb_xprintf("{'videoId':'" OURS "','status':'failed','more':'%s'}", text);
    RB_AUTO_BUFFER many = {0};
    struct rb_error err = {0};

    assert_int_equal(parse(&replicate, body, &notice, &err), 0);
    assert_int_equal(strlen(notice.error_message), 1024);
    rb_notice_done(&notice);
    assert_int_equal(parse(&openai, event, &notice, &err), 0);
    rb_notice_done(&notice);
    assert_int_equal(parse(&plain, own, &notice, &err), -1);
    rb_buffer_print(&many, "{'id':'p1','status':'succeeded','output':[");
    for (int i = 0; i < 1000; i++)
        rb_buffer_print(&many, "%s'https://h/%d.png'", i == 0 ? "" : ",", i);
    rb_buffer_print(&many, "]}");
    assert_int_equal(parse(&replicate, many.bytes, &notice, &err), 0);
    rb_notice_done(&notice);
    free(text);
}

UNIT_MAIN(T(each_format_says_what_it_says), T(what_a_body_lacks_is_named),
          T(what_nobody_reads_may_be_long_but_what_is_kept_of_an_error_is_not))
