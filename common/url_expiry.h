/*
 * url_expiry.h — when a URL stops working, as far as it says so itself.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

/*
 * Read what signed URLs carry in their query: a date and a lifetime (S3, Google, Alibaba and Volcano: X-Amz-Date with
 * X-Amz-Expires and their like), a time (Expires of CloudFront and older S3 and Google URLs, se of Azure, exp of CDNs), or
 * a token with a time in it (exp of a JSON Web Token, as Supabase signs URLs).
 *
 * Takes:  url, borrowed, any text.
 * Gives:  milliseconds since 1970, the earliest when there are several; RB_NO_LONG when it says nothing.
 * Loop:   pure, any thread.
 */
int64_t rb_url_expiry(const char *url);
