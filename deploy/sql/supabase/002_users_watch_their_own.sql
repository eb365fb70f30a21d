-- Signed-in users may watch their own videos in a private bucket: for supabase_link=authenticated, and for applications that
-- sign links as their user. Objects are named {user_id}/{video_id}.mp4, so the first folder says whose it is. Nobody but
-- reelbus may write: there is no policy for that, and the secret key needs none. Safe to run twice.

DROP POLICY IF EXISTS "users watch their own videos" ON storage.objects;
CREATE POLICY "users watch their own videos" ON storage.objects
    FOR SELECT TO authenticated
    USING (bucket_id = 'videos' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);
