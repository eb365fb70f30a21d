/*
 * store_kinds.c — the table of stores that there are.
 *
 * Way:  store_file, store_s3, store_supabase -> [store_kinds] -> main
 */
#include "consumer/store_kinds.h"

#include "common/buffer.h"
#include "consumer/container.h"
#include "consumer/store_file.h"
#include "consumer/store_s3.h"
#include "consumer/store_supabase.h"
#include "consumer/variants.h"

static int open_file(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                     struct rb_error *err)
{
    const struct rb_store_file_config config = {
        .root = options->file_root,
        .public_url = options->file_public_url,
        .file_mode = options->file_mode,
        .dir_mode = options->file_dir_mode,
        .keeps_unfinished = options->command.dry_run,
    };

    return rb_store_file_new(loop, &config, ret_store, err);
}

static struct rb_s3_credentials_config s3_credentials(const struct consumer_options *options)
{
    return (struct rb_s3_credentials_config){
        .source = options->s3_credentials,
        .access_key = options->s3_access_key,
        .secret_key = options->s3_secret_key,
        .session_token = options->s3_session_token,
        .file = options->s3_credentials_file,
        .profile = options->s3_profile,
        .web_identity_token_file = options->s3_web_identity_token_file,
        .role_arn = options->s3_role_arn,
        .role_session_name = options->s3_role_session_name,
        .sts_endpoint = options->s3_sts_endpoint,
        .region = options->s3_region,
        .container_url = options->s3_container_url,
        .container_path = options->s3_container_path,
        .container_token = options->s3_container_token,
        .container_token_file = options->s3_container_token_file,
        .instance_endpoint = options->s3_instance_endpoint,
    };
}

static int open_s3(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                   struct rb_error *err)
{
    const struct rb_store_s3_config config = {
        .endpoint = options->s3_endpoint,
        .region = options->s3_region,
        .path_style = options->s3_path_style,
        .public_url = options->s3_public_url,
        .storage_class = options->s3_storage_class,
        .sse = options->s3_sse,
        .sse_kms_key_id = options->s3_sse_kms_key_id,
        .md5 = options->s3_md5,
        .single_max_bytes = options->s3_single_max_bytes,
        .part_bytes = options->s3_part_bytes,
        .buffers_bytes = options->s3_buffers_bytes,
        .hash_max_bytes = options->s3_hash_max_bytes,
        .connect_timeout_ms = options->connect_timeout_ms,
        .timeout_ms = options->s3_timeout_ms,
        .credentials = s3_credentials(options),
    };
    return rb_store_s3_new(loop, &config, ret_store, err);
}

static int open_supabase(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                         struct rb_error *err)
{
    unsigned formats = 0, variants = 0;

    RB_TRY(rb_container_formats(options->formats, &formats, err));
    RB_TRY(rb_variants_option(options->variants, &variants, err));

    const struct rb_store_supabase_config config = {
        .url = options->supabase_url,
        .storage_url = options->supabase_storage_url,
        .public_url = options->supabase_public_url,
        .key = options->supabase_key,
        .link = options->supabase_link,
        .formats = formats | (variants != 0 ? RB_FORMATS_OF_IMAGES : 0),
        .link_ms = options->supabase_link_ms,
        .cache_ms = options->supabase_cache_ms,
        .single_max_bytes = options->supabase_single_max_bytes,
        .buffers_bytes = options->supabase_buffers_bytes,
        .hash_max_bytes = options->supabase_hash_max_bytes,
        .connect_timeout_ms = options->connect_timeout_ms,
        .timeout_ms = options->supabase_timeout_ms,
    };
    return rb_store_supabase_new(loop, &config, ret_store, err);
}

static const struct {
    const char *kind;
    int (*open)(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                struct rb_error *err);
} kind_rows[] = {
    {"file", open_file},
    {"s3", open_s3},
    {"supabase", open_supabase},
};

int rb_store_open(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                  struct rb_error *err)
{
    RB_AUTO_BUFFER names = {0};

    for (size_t i = 0; i < RB_COUNT(kind_rows); i++) {
        if (strcmp(options->store, kind_rows[i].kind) == 0)
            return kind_rows[i].open(loop, options, ret_store, err);
        rb_buffer_print(&names, "%s%s", i > 0 ? ", " : "", kind_rows[i].kind);
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'store' is '%.20s', expected one of: %s", options->store,
                   names.bytes);
}
