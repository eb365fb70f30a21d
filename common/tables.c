/*
 * tables.c — SQL with the application's own names in it.
 *
 * Way:  common
 */
#include "common/tables.h"

#include "common/buffer.h"

/* As SQL has it: between double quotes, with those inside doubled. A dot in a table's name parts it from its schema. */
static void add_identifier(struct rb_buffer *out, const char *name, bool may_have_schema)
{
    rb_buffer_add(out, "\"", 1);
    for (; *name != '\0'; name++) {
        if (*name == '.' && may_have_schema)
            rb_buffer_add(out, "\".\"", 3);
        else if (*name == '"')
            rb_buffer_add(out, "\"\"", 2);
        else
            rb_buffer_add(out, name, 1);
    }
    rb_buffer_add(out, "\"", 1);
}

char *rb_tables_sql(const struct rb_common_options *options, const char *sql)
{
    const struct {
        const char *hole;
        const char *name;
    } names[] = {
        {"{table}", options->table},
        {"{id}", options->column_id},
        {"{user_id}", options->column_user_id},
        {"{video_url}", options->column_video_url},
        {"{status}", options->column_status},
        {"{created_at}", options->column_created_at},
        {"{provider}", options->column_provider},
        {"{provider_video_id}", options->column_provider_video_id},
    };
    struct rb_buffer out = {0};

    while (*sql != '\0') {
        size_t i = 0;

        while (i < RB_COUNT(names) && strncmp(sql, names[i].hole, strlen(names[i].hole)) != 0)
            i++;
        if (i < RB_COUNT(names)) {
            add_identifier(&out, names[i].name, i == 0);
            sql += strlen(names[i].hole);
        } else {
            rb_buffer_add(&out, sql++, 1);
        }
    }
    return rb_buffer_steal(&out);
}
