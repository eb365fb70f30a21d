-- A role that may write videos and nothing else, for a key that does less harm than service_role when it is stolen: a JWT with
-- "role": "reelbus_writer" signed with the project's JWT secret (deploy/supabase.md says how).
--
-- Applied by `reelbus-consumer setup`: without such a key nobody can be that role. Safe to run twice: a policy that is there
-- stays as you have it. Another bucket than 'videos' is said before, in the same run: SET reelbus.bucket = 'clips';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reelbus_writer') THEN
        CREATE ROLE reelbus_writer NOLOGIN NOINHERIT;
    END IF;
END $$;

GRANT reelbus_writer TO authenticator; -- as whom the Storage API connects
GRANT USAGE ON SCHEMA storage TO reelbus_writer;
GRANT SELECT ON storage.buckets TO reelbus_writer;
GRANT SELECT, INSERT, UPDATE ON storage.objects TO reelbus_writer;

-- Reading is needed too: objects are looked at after they were written, and before they are sent again.
DO $$
DECLARE
    bucket text := coalesce(nullif(current_setting('reelbus.bucket', true), ''), 'videos');
    row    record;
    policy text;
BEGIN
    FOR row IN SELECT * FROM (VALUES
        ('storage.buckets', 'reelbus sees ',     'FOR SELECT TO reelbus_writer USING (id = %L)'),
        ('storage.objects', 'reelbus reads ',    'FOR SELECT TO reelbus_writer USING (bucket_id = %L)'),
        ('storage.objects', 'reelbus adds ',     'FOR INSERT TO reelbus_writer WITH CHECK (bucket_id = %L)'),
        ('storage.objects', 'reelbus replaces ', 'FOR UPDATE TO reelbus_writer USING (bucket_id = %L) WITH CHECK (bucket_id = %1$L)')
    ) AS wanted (at_table, begins, says) LOOP
        policy := row.begins || CASE WHEN octet_length(bucket) <= 40 THEN bucket ELSE md5(bucket) END;
        IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = row.at_table::regclass AND polname = policy) THEN
            EXECUTE format('CREATE POLICY %I ON ', policy) || row.at_table || ' ' || format(row.says, bucket);
        END IF;
    END LOOP;
END $$;
