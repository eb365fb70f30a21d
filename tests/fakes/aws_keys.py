"""Stand-ins for the places that keys for S3 come from: STS, a container's address, an instance's metadata service (version
2). They say no to whatever does not come exactly as it should."""

import datetime
import http.server
import threading
import urllib.parse

ROLE = "arn:aws:iam::123456789012:role/reelbus"
JWT = "canary-web-identity-token+/="
CONTAINER_TOKEN = "canary-container-token"


class Keys:
    """Gives out access_key, secret_key and a session token that counts up. `asked` has one word for each time."""

    def __init__(self, access_key, secret_key, lasts_s=3600):
        self.access_key, self.secret_key, self.lasts_s = access_key, secret_key, lasts_s
        self.asked = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, status, body=""):
                body = body.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self):
                if self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
                    return self.answer(200, "canary-instance-token\n")
                return self.answer(400)

            def do_GET(self):
                if self.path == "/container" and self.headers.get("Authorization") == CONTAINER_TOKEN:
                    return self.answer(200, fake.json("container"))
                if self.headers.get("X-aws-ec2-metadata-token") != "canary-instance-token":
                    return self.answer(401)
                if self.path == "/latest/meta-data/iam/security-credentials/":
                    return self.answer(200, "a-role")
                if self.path == "/latest/meta-data/iam/security-credentials/a-role":
                    return self.answer(200, fake.json("instance"))
                return self.answer(404)

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                wanted = {"Action": ["AssumeRoleWithWebIdentity"], "Version": ["2011-06-15"], "RoleArn": [ROLE],
                          "RoleSessionName": ["reelbus"], "WebIdentityToken": [JWT]}  # fmt: skip
                if form != wanted:
                    return self.answer(400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>")
                return self.answer(200, fake.xml())

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def give(self, who):
        self.asked.append(who)
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.lasts_s)
        return f"canary-session-{len(self.asked)}", until.strftime("%Y-%m-%dT%H:%M:%SZ")

    def json(self, who):
        token, until = self.give(who)
        return (f'{{"Code":"Success","AccessKeyId":"{self.access_key}","SecretAccessKey":"{self.secret_key}",'
                f'"Token":"{token}","Expiration":"{until}"}}')  # fmt: skip

    def xml(self):
        token, until = self.give("sts")
        return (f'<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
                f"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{self.access_key}</AccessKeyId>"
                f"<SecretAccessKey>{self.secret_key}</SecretAccessKey><SessionToken>{token}</SessionToken>"
                f"<Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                f"</AssumeRoleWithWebIdentityResponse>")  # fmt: skip

    def close(self):
        self.server.shutdown()
        self.server.server_close()
