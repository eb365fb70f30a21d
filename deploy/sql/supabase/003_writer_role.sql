-- A role that may write videos and nothing else, for a key that does less harm than service_role when it is stolen: a JWT with
-- "role": "reelbus_writer" signed with the project's JWT secret (deploy/supabase.md says how). Safe to run twice.

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

DROP POLICY IF EXISTS "reelbus sees its bucket" ON storage.buckets;
CREATE POLICY "reelbus sees its bucket" ON storage.buckets
    FOR SELECT TO reelbus_writer USING (id = 'videos');

-- Reading is needed too: objects are looked at after they were written, and before they are sent again.
DROP POLICY IF EXISTS "reelbus reads videos" ON storage.objects;
CREATE POLICY "reelbus reads videos" ON storage.objects
    FOR SELECT TO reelbus_writer USING (bucket_id = 'videos');

DROP POLICY IF EXISTS "reelbus adds videos" ON storage.objects;
CREATE POLICY "reelbus adds videos" ON storage.objects
    FOR INSERT TO reelbus_writer WITH CHECK (bucket_id = 'videos');

DROP POLICY IF EXISTS "reelbus replaces videos" ON storage.objects;
CREATE POLICY "reelbus replaces videos" ON storage.objects
    FOR UPDATE TO reelbus_writer USING (bucket_id = 'videos') WITH CHECK (bucket_id = 'videos');
