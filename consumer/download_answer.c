/*
 * download_answer.c — how a request of a download has ended: complete, led elsewhere, or failed.
 *
 * Way:  plan -> guard -> [download] -> store
 */
#include <inttypes.h>

#include "common/errmap.h"
#include "consumer/download_internal.h"

#define REDIRECTS_MAX     5
#define RETRY_AFTER_MAX_S 86400

static int take_redirect(struct rb_download *download)
{
    const struct rb_url *from = download_url(download);
    const struct rb_source_head *head = &download->head;
    struct rb_url next = {0};
    struct rb_error *err = &download->error;

    if (head->location == NULL || head->location[0] == '\0')
        return rb_fail(err, RB_E_SOURCE_REDIRECTS, (int)head->status, "the source redirects to nowhere");
    if (++download->redirects > REDIRECTS_MAX)
        return rb_fail(err, RB_E_SOURCE_REDIRECTS, (int)head->status, "the source redirects more than %d times",
                       REDIRECTS_MAX);
    RB_TRY(rb_url_join(from, head->location, &next, err));
    if (strcmp(from->scheme, "https") == 0 && strcmp(next.scheme, "https") != 0) {
        rb_url_done(&next);
        return rb_fail(err, RB_E_URL_REFUSED, (int)head->status, "from https to http");
    }
    if (rb_guard_url(download->spec.guard, &next, err) < 0) {
        rb_url_done(&next);
        return -1;
    }
    rb_url_done(&download->redirect);
    download->redirect = next;
    return 0;
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The source has an answer, and it is no video. */
static int fail_by_status(struct rb_download *download, long status)
{
    curl_off_t retry_after_s = 0;

    curl_easy_getinfo(download->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (status == 416 && download->bytes > 0)
        return rb_fail(&download->error, RB_E_SOURCE_CHANGED, 416,
                       "the video is shorter by now than what has come of it");
    rb_fail(&download->error, rb_errmap_source_status(status), (int)status, "the source answered %ld", status);
    download->error.wait_ms = RB_MIN(RB_MAX((int64_t)retry_after_s, 0), RETRY_AFTER_MAX_S) * 1000;
    return -1;
}

/* What went wrong, when nothing of ours did? 0 when all is here. */
static int check_end(struct rb_download *download, CURLcode result)
{
    long status = download->head.complete ? download->head.status : 0;
    struct rb_error *err = &download->error;

    if (status != 0 && !download->accepted)
        return fail_by_status(download, status);
    if (result != CURLE_OK)
        return rb_fail(err, rb_errmap_source_curl(result), (int)result, "cannot fetch the video: %.150s",
                       download->trouble[0] != '\0' ? download->trouble : curl_easy_strerror(result));
    if (download->length >= 0 && download->bytes != download->length)
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "%" PRId64 " bytes came of %" PRId64, download->bytes,
                       download->length);
    return 0;
}

void download_answered(struct rb_download *download, CURLcode result)
{
    download->paused = false;
    if (download->error.code != RB_E_NONE) {
        download_failed(download);
    } else if (download->head.complete && is_redirect(download->head.status)) {
        if (take_redirect(download) < 0)
            download_failed(download);
        else
            download_start_hop(download);
    } else if (check_end(download, result) < 0) {
        download_failed(download);
    } else {
        download_enter(download, DOWNLOAD_COMPLETE);
    }
}
