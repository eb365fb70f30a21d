"""Where the videos come from and where they go: two nginx on loopback, with files in memory. Both look the same to all who move."""

import os
import pathlib
import shutil
import tempfile

import servers

MIB = 1 << 20
DIFFERENT = 16  # so many videos have bytes of their own; the others are links to them
BUCKET = "videos"
MODULE = servers.ROOT / ".run/nginx-perl"

COMMON = """
daemon off;
master_process off;
pid {folder}/{name}.pid;
error_log stderr crit;
{user}
events {{ worker_connections 4096; }}
"""

HTTP = """
    access_log off;
    default_type video/mp4;
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
"""

SOURCE = COMMON + "http {{" + HTTP + """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/source;
        location /slow/ {{ limit_rate {slow_rate}; }}
    }}
}}
"""

# WebDAV, and as much of S3 as one PUT of an object needs: what a PUT has in its metadata, HEAD shows. Signatures are not looked at.
TARGET = "load_module {module}/usr/lib/nginx/modules/ngx_http_perl_module.so;" + COMMON + "http {{" + HTTP + """
    perl_modules {perl};
    perl_set $put_id 'sub {{
        my $request = shift;
        my $sent = $request->header_in("x-amz-meta-reelbus-put");
        $ids{{$request->uri}} = $sent if $request->request_method eq "PUT" && defined $sent;
        return $ids{{$request->uri}};
    }}';
    client_max_body_size 0;
    client_body_buffer_size 256k;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/target;
        location = /{bucket} {{ return 200; }}
        location / {{
            dav_methods PUT DELETE;
            create_full_put_path on;
            add_header x-amz-meta-reelbus-put $put_id;
        }}
    }}
}}
"""


def box(kind, *parts):
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4, "big") + kind + body


HEAD = box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", box(b"trak", box(b"mdia", box(b"hdlr", b"\0" * 8, b"vide"))))


def write_video(path, length, sparse=False):
    """An MP4 of exactly so many bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(HEAD + b"\0\0\0\1mdat" + (length - len(HEAD)).to_bytes(8, "big"))
        if sparse:
            file.truncate(length)
        else:
            file.write(os.urandom(length - file.tell()))


class Places:
    def __init__(self, stack, slow_rate):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.stack = stack
        self.slow_rate = slow_rate
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="reelbus-bench-", dir=memory))
        self.source_folder, self.target_folder = self.folder / "source", self.folder / "target"
        self.source_folder.mkdir()
        self.target_folder.mkdir()
        self.source = self.target = None

    def open(self):
        perl = next((MODULE / "usr/lib").glob("*/perl5/*"))
        self.source, self.source_url = self.start("source", SOURCE, {"slow_rate": self.slow_rate})
        self.target, self.target_url = self.start("target", TARGET, {"module": MODULE, "perl": perl, "bucket": BUCKET})

    def start(self, name, template, more):
        port = servers.local.free_port()
        config = self.folder / f"{name}.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(template.format(folder=self.folder, name=name, port=port, user=user, **more))
        process = self.stack.start(f"nginx ({name})", lambda: self.stack.spawn(
            f"nginx-{name}", [servers.ROOT / ".run/nginx", "-p", self.folder, "-c", config]),
            lambda: servers.local.port_is_open(port), 20)  # fmt: skip
        return process, f"http://127.0.0.1:{port}"

    def make(self, count, length, folder=""):
        """So many videos of one size. Gives their names."""
        names = [f"{folder}v{number:04d}.mp4" for number in range(count)]
        for number, name in enumerate(names):
            path = self.source_folder / name
            if number < DIFFERENT:
                write_video(path, length)
            else:
                os.link(self.source_folder / names[number % DIFFERENT], path)
        return names

    def make_huge(self, length):
        write_video(self.source_folder / "huge.mp4", length, sparse=True)
        return "huge.mp4"

    def stored(self):
        """What has come: files and their sizes."""
        return {path: path.stat().st_size for path in self.target_folder.rglob("*.mp4")}

    def empty_target(self):
        shutil.rmtree(self.target_folder / BUCKET)

    def cpu_s(self):
        """Of source and target, of Postgres, of Kafka."""
        processes = self.stack.processes
        return (servers.cpu_s(self.source) + servers.cpu_s(self.target), servers.children_cpu_s(processes["postgres"]),
                servers.cpu_s(processes["kafka"]))  # fmt: skip

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
