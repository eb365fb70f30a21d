#include "tests/unit/unit.h"

#include "consumer/store_supabase.h"

static struct rb_store_supabase_config config_at(const char *url)
{
    return (struct rb_store_supabase_config){
        .url = url,
        .storage_url = "",
        .public_url = "",
        .key = "sb_secret_x",
        .link = "public",
        .single_max_bytes = RB_SUPABASE_CHUNK_BYTES,
        .connect_timeout_ms = 1000,
        .timeout_ms = 1000,
    };
}

static void check_link(struct rb_loop *loop, const struct rb_store_supabase_config *config, const char *key,
                       const char *wanted)
{
    const struct rb_object object = {"videos", key, "video/mp4", NULL};
    struct rb_store *store = NULL;

    assert_works(rb_store_supabase_new(loop, config, &store, &err));

    RB_AUTO_TEXT *url = store->ops->url(store, &object);

    assert_string_equal(url, wanted);
    assert_true((store->ops->link != NULL) == (strcmp(config->link, "signed") == 0));
    store->ops->free(store);
}

static void links_lead_to_the_project_or_where_it_is_shown(void **state)
{
    struct rb_loop *loop = rb_loop_new();
    struct rb_store_supabase_config config = config_at("https://ref.supabase.co");

    (void)state;
    check_link(loop, &config, "u/v.mp4", "https://ref.supabase.co/storage/v1/object/public/videos/u/v.mp4");
    config.url = "https://ref.supabase.co//";
    check_link(loop, &config, "u/a b+é", "https://ref.supabase.co/storage/v1/object/public/videos/u/a%20b%2B%C3%A9");
    config.url = "http://127.0.0.1:54321/storage/v1/";
    check_link(loop, &config, "v", "http://127.0.0.1:54321/storage/v1/object/public/videos/v");
    config.link = "authenticated";
    check_link(loop, &config, "v", "http://127.0.0.1:54321/storage/v1/object/authenticated/videos/v");
    config.public_url = "https://videos.example.com/";
    check_link(loop, &config, "v", "https://videos.example.com/storage/v1/object/authenticated/videos/v");
    config = config_at("https://ref.supabase.co");
    config.storage_url = "https://ref.storage.supabase.co/storage/v1";
    check_link(loop, &config, "v", "https://ref.supabase.co/storage/v1/object/public/videos/v");
    config.url = "";
    config.link = "signed";
    check_link(loop, &config, "v", "https://ref.storage.supabase.co/storage/v1/object/authenticated/videos/v");
    rb_loop_free(loop);
}

static void wrong_options_are_refused(void **state)
{
    struct rb_loop *loop = rb_loop_new();
    struct rb_store_supabase_config config = config_at("");
    struct rb_store *store = NULL;

    (void)state;
    assert_fails(rb_store_supabase_new(loop, &config, &store, &err), BAD_OPTION);
    config.url = "ref.supabase.co";
    assert_fails(rb_store_supabase_new(loop, &config, &store, &err), BAD_OPTION);
    config.url = "https://user:password@ref.supabase.co";
    assert_fails(rb_store_supabase_new(loop, &config, &store, &err), BAD_OPTION);
    config = config_at("https://ref.supabase.co");
    config.link = "private";
    assert_fails(rb_store_supabase_new(loop, &config, &store, &err), BAD_OPTION);
    config = config_at("https://ref.supabase.co");
    config.key = "sb_publishable_x";
    assert_fails(rb_store_supabase_new(loop, &config, &store, &err), BAD_OPTION);
    assert_null(store);
    rb_loop_free(loop);
}

UNIT_MAIN(T(links_lead_to_the_project_or_where_it_is_shown), T(wrong_options_are_refused))
