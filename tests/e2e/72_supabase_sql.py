"""The SQL for a project of Supabase: who may see and write what. The tables and functions that it needs are as Supabase has
them, as far as policies look at them."""

import json
import sys

import psycopg
import pytest
from harness import ROOT

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase

FILES = sorted((ROOT / "deploy/sql/supabase").glob("*.sql"))
ALICE, BOB = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

PROJECT = """
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'authenticator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', name);
        END IF;
    END LOOP;
END $$;
ALTER ROLE service_role BYPASSRLS;
GRANT anon, authenticated, service_role TO authenticator;
CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
    $$ SELECT (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid $$;
CREATE SCHEMA storage;
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql IMMUTABLE AS
    $$ SELECT (string_to_array(name, '/'))[1 : array_length(string_to_array(name, '/'), 1) - 1] $$;
CREATE TABLE storage.buckets (id text PRIMARY KEY, name text UNIQUE NOT NULL, owner uuid, public boolean DEFAULT false,
    file_size_limit bigint, allowed_mime_types text[], created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE storage.objects (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), bucket_id text REFERENCES storage.buckets,
    name text, owner uuid, metadata jsonb, user_metadata jsonb, version text, UNIQUE (bucket_id, name));
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
GRANT USAGE ON SCHEMA auth, storage TO anon, authenticated, service_role;
GRANT ALL ON ALL TABLES IN SCHEMA storage TO anon, authenticated, service_role;
"""


@pytest.fixture
def project(bus):
    """Each file was applied twice."""
    with psycopg.connect(bus.database_url, autocommit=True) as connection:
        connection.execute(PROJECT)
        for path in FILES * 2:
            connection.execute(path.read_text())
        connection.execute("INSERT INTO storage.buckets (id, name) VALUES ('other', 'other')")
        for bucket in ("videos", "other"):
            for user in (ALICE, BOB):
                connection.execute("INSERT INTO storage.objects (bucket_id, name) VALUES (%s, %s)", (bucket, f"{user}/v.mp4"))
        yield connection


def as_role(project, role, sql, *values, sub=None):
    """What a request with this role in its key would get; it leaves nothing behind."""
    with project.transaction(force_rollback=True):
        project.execute(f"SET LOCAL ROLE {role}")
        project.execute("SELECT set_config('request.jwt.claims', %s, true)", (json.dumps({"sub": sub, "role": role}),))
        cursor = project.execute(sql, values)
        return [row[0] for row in cursor.fetchall()] if cursor.description else cursor.rowcount


NAMES = "SELECT bucket_id || '/' || name FROM storage.objects ORDER BY 1"
ADD = "INSERT INTO storage.objects (bucket_id, name) VALUES (%s, %s) RETURNING name"


def test_the_bucket_is_made_and_stays_as_it_is(project):
    row = project.execute("SELECT public, file_size_limit, allowed_mime_types FROM storage.buckets WHERE id = 'videos'").fetchone()
    assert row == (True, None, ["video/mp4"])
    project.execute("UPDATE storage.buckets SET public = false WHERE id = 'videos'")
    project.execute(FILES[0].read_text())
    assert project.execute("SELECT public FROM storage.buckets WHERE id = 'videos'").fetchone() == (False,)


def test_users_see_their_own_videos_and_write_none(project):
    assert as_role(project, "authenticated", NAMES, sub=ALICE) == [f"videos/{ALICE}/v.mp4"]
    assert as_role(project, "authenticated", NAMES, sub=BOB) == [f"videos/{BOB}/v.mp4"]
    assert as_role(project, "authenticated", NAMES) == as_role(project, "anon", NAMES) == []
    for role, sub in (("authenticated", ALICE), ("anon", None)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            as_role(project, role, ADD, "videos", f"{ALICE}/new.mp4", sub=sub)
        assert as_role(project, role, "UPDATE storage.objects SET version = 'x'", sub=sub) == 0
        assert as_role(project, role, "DELETE FROM storage.objects", sub=sub) == 0


def test_the_writer_sees_and_writes_videos_and_nothing_else(project):
    role = "reelbus_writer"
    assert as_role(project, role, NAMES) == [f"videos/{ALICE}/v.mp4", f"videos/{BOB}/v.mp4"]
    assert as_role(project, role, "SELECT id FROM storage.buckets") == ["videos"]
    assert as_role(project, role, ADD, "videos", "u/new.mp4") == ["u/new.mp4"]
    replace = ADD.replace("RETURNING", "ON CONFLICT (bucket_id, name) DO UPDATE SET version = 'x' RETURNING")
    assert as_role(project, role, replace, "videos", f"{ALICE}/v.mp4") == [f"{ALICE}/v.mp4"]
    for sql, values in ((ADD, ("other", "u/new.mp4")), ("UPDATE storage.objects SET bucket_id = 'other'", ()),
                        ("DELETE FROM storage.objects", ()), ("UPDATE storage.buckets SET public = true", ()),
                        ("SELECT * FROM video_history", ()), ("SELECT * FROM reelbus.video", ())):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(project, role, sql, *values)


def test_the_storage_api_may_take_the_writers_role(project):
    assert project.execute("SELECT pg_has_role('authenticator', 'reelbus_writer', 'MEMBER')").fetchone() == (True,)


# -- setup ----------------------------------------------------------------------------------------------------------------

POLICIES = "SELECT polname::text FROM pg_policy ORDER BY 1"


@pytest.fixture
def setup(bus):
    """Runs setup, with a store at Supabase and a database that is that project's."""
    server = supabase.Supabase()
    with bus.connect() as connection:
        connection.execute(PROJECT)

    def run(bucket, **more):
        server.make_bucket(bucket)
        return bus.run_setup(**{"REELBUS_STORE": "supabase", "SUPABASE_URL": server.url, "REELBUS_BUCKET": bucket,
                                "SUPABASE_SERVICE_ROLE_KEY": supabase.SECRET_KEY, **more})  # fmt: skip

    yield run
    server.close()


def names(connection):
    return [row["polname"] for row in connection.execute(POLICIES).fetchall()]


@pytest.mark.parametrize("bucket", ["it's $$ a\\'; DROP TABLE x;--", "b" * 63])
def test_setup_makes_the_policies_of_its_bucket_and_keeps_what_was_changed(bus, setup, bucket):
    with bus.connect() as connection:
        for _ in range(2):
            done = setup(bucket)
            assert done.returncode == 0 and "are there" in done.stdout.split("policies")[1], done
            assert len(names(connection)) == 5
        connection.execute("INSERT INTO storage.buckets (id, name) VALUES (%s, %s), ('other', 'other')", (bucket, bucket))
        for place in (bucket, "other"):
            for user in (ALICE, BOB):
                connection.execute("INSERT INTO storage.objects (bucket_id, name) VALUES (%s, %s)", (place, f"{user}/v.mp4"))
        own = names(connection)[-1]
        assert own.startswith("users watch their own ")
        connection.row_factory = psycopg.rows.tuple_row
        assert as_role(connection, "authenticated", NAMES, sub=ALICE) == [f"{bucket}/{ALICE}/v.mp4"]
        assert as_role(connection, "reelbus_writer", NAMES) == [f"{bucket}/{user}/v.mp4" for user in (ALICE, BOB)]
        quoted = '"' + own.replace('"', '""') + '"'
        connection.execute(f"ALTER POLICY {quoted} ON storage.objects USING (false)")
        assert setup(bucket).returncode == 0
        assert as_role(connection, "authenticated", NAMES, sub=ALICE) == []
        connection.execute(f"DROP POLICY {quoted} ON storage.objects")
        assert "policies" not in setup(bucket, REELBUS_SUPABASE_POLICIES="false").stdout
        assert as_role(connection, "authenticated", NAMES, sub=ALICE) == []


def test_setup_without_the_right_to_make_policies_says_what_to_do_and_does_the_rest(bus, setup):
    name = f"plain_{bus.number}"
    with bus.connect() as connection:
        connection.execute("DROP SCHEMA reelbus CASCADE")
        connection.execute(f"CREATE ROLE {name} LOGIN")
        try:
            connection.execute(f"GRANT ALL ON DATABASE {bus.number} TO {name}")
            done = setup("videos", DATABASE_URL=bus.database_url.replace("//app@", f"//{name}@"))
            assert done.returncode == 1 and "can be written" in done.stdout and "schema reelbus" in done.stdout, done
            assert "setup: policies 'videos': supabase/002" in done.stderr and "42501" in done.stderr
            assert "SQL editor" in done.stderr and done.stderr.count("\n") == 1 and names(connection) == []
        finally:
            connection.execute(f"DROP OWNED BY {name} CASCADE")
            connection.execute(f"DROP ROLE {name}")
