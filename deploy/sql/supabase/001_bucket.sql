-- The bucket for videos, if you would rather make it by SQL than let `reelbus-consumer setup` do it. Safe to run twice: what is
-- there stays as it is. Another name than 'videos' is said before, in the same run: SET reelbus.bucket = 'clips';
--
-- public: whoever has the link can watch; for supabase_link=public. Make it false for signed links, or for links that only
-- signed-in users can follow (supabase_link=signed or authenticated). With the option 'variants', add image/webp, image/jpeg and
-- image/png.

INSERT INTO storage.buckets (id, name, public, allowed_mime_types)
SELECT bucket, bucket, true, ARRAY['video/mp4']
FROM (SELECT coalesce(nullif(current_setting('reelbus.bucket', true), ''), 'videos') AS bucket) AS named
ON CONFLICT DO NOTHING;
