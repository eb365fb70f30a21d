-- Signed-in users may watch their own videos in a private bucket: for supabase_link=authenticated, and for applications that
-- sign links as their user. Objects are named {user_id}/{video_id}.mp4, so the first folder says whose it is. Nobody but
-- reelbus may write: there is no policy for that, and the secret key needs none.
--
-- Applied by `reelbus-consumer setup`. Safe to run twice: a policy that is there stays as you have it. Another bucket than
-- 'videos' is said before, in the same run: SET reelbus.bucket = 'clips';

DO $$
DECLARE
    bucket text := coalesce(nullif(current_setting('reelbus.bucket', true), ''), 'videos');
    policy text := 'users watch their own ' || CASE WHEN octet_length(bucket) <= 40 THEN bucket ELSE md5(bucket) END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = 'storage.objects'::regclass AND polname = policy) THEN
        EXECUTE format('CREATE POLICY %I ON storage.objects FOR SELECT TO authenticated
            USING (bucket_id = %L AND (storage.foldername(name))[1] = (SELECT auth.uid())::text)', policy, bucket);
    END IF;
END $$;
