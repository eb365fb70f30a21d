"""The store, as the auditor sees it: what is there, how old, and what the bytes are."""

import collections
import hashlib
import pathlib
import time

import boto3
import botocore.client
import botocore.exceptions
from audit_topics import Away

# name: bucket and key; token: another one when the object was written again.
Object = collections.namedtuple("Object", "name bytes age_s token")


class FileStore:
    def __init__(self, root):
        self.root = pathlib.Path(root)

    def objects(self):
        for path in self.root.rglob("*"):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # renamed meanwhile
            if path.is_file():
                yield Object(str(path.relative_to(self.root)), facts.st_size, time.time() - facts.st_mtime, (facts.st_ino, facts.st_mtime_ns))

    def sha256(self, name):
        """None when it is not there."""
        try:
            with open(self.root / name, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None


class S3Store:
    """client: boto3."""

    def __init__(self, client, bucket):
        self.client, self.bucket = client, bucket

    def objects(self):
        now = time.time()
        try:
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
                for found in page.get("Contents", ()):
                    written = found["LastModified"].timestamp()
                    yield Object(f"{self.bucket}/{found['Key']}", found["Size"], now - written, (written, found.get("ETag")))
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as problem:
            raise Away(f"the store: {problem}") from None

    def sha256(self, name):
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=name.removeprefix(self.bucket + "/"))
            digest = hashlib.sha256()
            for piece in answer["Body"].iter_chunks(1 << 16):
                digest.update(piece)
            return digest.hexdigest()
        except self.client.exceptions.NoSuchKey:
            return None
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as problem:
            raise Away(f"the store: {problem}") from None


def of(root=None, s3=None, bucket=None, access_key=None, secret_key=None):
    """The store in a folder, or in a bucket of an S3 server."""
    if root is not None:
        return FileStore(root)
    config = botocore.client.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2})
    return S3Store(boto3.client("s3", endpoint_url=s3, region_name="us-east-1", config=config, aws_access_key_id=access_key,
                                aws_secret_access_key=secret_key), bucket)  # fmt: skip
