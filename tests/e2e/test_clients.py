"""Unmodified clients that people use, with real files."""

import hashlib
import random
import shutil
import subprocess

import pytest
from boto3.s3.transfer import TransferConfig

import multipart
import programs
import real_files


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_aws_cli_copies_lists_and_removes(store, bucket, folder):
    one = folder / "one file.bin"
    one.write_bytes(noise(12 << 20))
    programs.aws(store, "s3", "cp", one, f"s3://{bucket}/a folder/ünïcode +&=.bin")
    programs.aws(store, "s3", "cp", f"s3://{bucket}/a folder/ünïcode +&=.bin", folder / "back.bin")
    assert real_files.same_bytes(one, folder / "back.bin")
    listed = programs.aws(store, "s3", "ls", f"s3://{bucket}/", "--recursive")
    assert "a folder/ünïcode +&=.bin" in listed and str(12 << 20) in listed
    assert "PRE a folder/" in programs.aws(store, "s3", "ls", f"s3://{bucket}/")
    programs.aws(
        store, "s3", "mv", f"s3://{bucket}/a folder/ünïcode +&=.bin", f"s3://{bucket}/moved"
    )
    programs.aws(store, "s3", "rm", f"s3://{bucket}/", "--recursive")
    assert programs.aws(store, "s3", "ls", f"s3://{bucket}/") == ""


def test_aws_cli_syncs_a_tree_of_real_files(store, bucket, folder, small_tree):
    part = folder / "part"
    names = sorted(real_files.tree_files(small_tree))[:600]
    for name in names:
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(small_tree / name, part / name)
    programs.aws(store, "s3", "sync", part, f"s3://{bucket}/tree", "--only-show-errors")
    listed = programs.aws(store, "s3", "ls", f"s3://{bucket}/tree/", "--recursive")
    assert len(listed.splitlines()) == len(names)
    programs.aws(store, "s3", "sync", f"s3://{bucket}/tree", folder / "back", "--only-show-errors")
    real_files.assert_same_trees(part, folder / "back")
    again = programs.aws(store, "s3", "sync", part, f"s3://{bucket}/tree", "--dryrun", "--size-only")
    assert again == "", "a second sync finds something to do"


def test_aws_cli_presigns_for_curl(store, bucket, folder):
    body = folder / "body"
    body.write_bytes(noise(100_000))
    programs.aws(store, "s3", "cp", body, f"s3://{bucket}/key with space")
    # In us-east-1 aws-cli 1 still presigns by the retired SigV2 unless it is told.
    config = folder / "config"
    config.write_text("[default]\ns3 =\n  signature_version = s3v4\n")
    url = programs.aws(store, "s3", "presign", f"s3://{bucket}/key with space", config=config)
    url = url.strip()
    programs.curl("--output", folder / "back", url)
    assert real_files.same_bytes(body, folder / "back")


def test_rclone_syncs_and_checks_a_tree_of_real_files(store, bucket, folder, small_tree):
    remote = f"coffer:{bucket}/tree"
    flags = ["--transfers", "16", "--checkers", "16", "--retries", "1", "--low-level-retries", "1"]
    programs.rclone(store, "sync", small_tree, remote, *flags)
    programs.rclone(store, "check", small_tree, remote, *flags)
    names = programs.rclone(store, "lsf", "-R", "--files-only", remote).splitlines()
    assert sorted(names) == sorted(real_files.tree_files(small_tree))
    programs.rclone(store, "sync", remote, folder / "back", *flags)
    real_files.assert_same_trees(small_tree, folder / "back")
    programs.rclone(store, "delete", remote, *flags)
    assert programs.rclone(store, "lsf", "-R", "--files-only", f"coffer:{bucket}") == ""


def test_restic_backs_up_checks_and_restores(store, bucket, folder, small_tree):
    def restic(*arguments):
        return programs.restic(store, bucket, folder / "cache", *arguments)

    restic("init")
    restic("backup", small_tree)
    (folder / "more").mkdir()
    (folder / "more" / "new").write_bytes(noise(3 << 20))
    restic("backup", small_tree, folder / "more")
    restic("check", "--read-data")
    restic("restore", "latest", "--target", folder / "back")
    real_files.assert_same_trees(small_tree, folder / "back" / small_tree.relative_to("/"))
    assert (folder / "back" / (folder / "more" / "new").relative_to("/")).read_bytes() == noise(3 << 20)
    restic("forget", "--keep-last", "1", "--prune")
    restic("check")


def test_boto3_transfer_manager_moves_large_files(s3, bucket, folder):
    large = folder / "large"
    large.write_bytes(noise(40 << 20))
    config = TransferConfig(
        multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4
    )
    s3.upload_file(str(large), bucket, "large", Config=config, ExtraArgs={"Metadata": {"a": "b"}})
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ContentLength"] == 40 << 20 and head["Metadata"] == {"a": "b"}
    data = large.read_bytes()
    digests = [hashlib.md5(data[i : i + (8 << 20)]).digest() for i in range(0, len(data), 8 << 20)]
    assert head["ETag"] == multipart.multipart_etag(digests)
    s3.download_file(bucket, "large", str(folder / "back"), Config=config)
    assert real_files.same_bytes(large, folder / "back")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_boto3_checksums_are_kept_and_answered(s3, bucket, algorithm):
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt", reason="boto3 computes this checksum with awscrt only")
    s3.put_object(Bucket=bucket, Key="sum", Body=noise(5000), ChecksumAlgorithm=algorithm)
    reply = s3.get_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
    assert reply[f"Checksum{algorithm}"]
    assert reply["Body"].read() == noise(5000)


def test_presigned_urls_work_with_curl(s3, bucket, folder):
    body = folder / "body"
    body.write_bytes(noise(300_000))
    names = {"Bucket": bucket, "Key": "by curl/ü"}
    programs.curl("--upload-file", body, s3.generate_presigned_url("put_object", Params=names))
    programs.curl("--output", folder / "back", s3.generate_presigned_url("get_object", Params=names))
    assert real_files.same_bytes(body, folder / "back")
    url = s3.generate_presigned_url("get_object", Params=names)
    ranged = programs.curl("--range", "10-19", "--output", folder / "ten", url)
    assert ranged == "" and (folder / "ten").read_bytes() == body.read_bytes()[10:20]
    spoiled = url.replace("Signature=", "Signature=0")
    command = [programs.find("curl"), "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
    assert subprocess.run([*command, spoiled], capture_output=True).stdout == b"403"


def test_a_url_presigned_by_sigv2_is_refused_clearly(store, bucket):
    old = store.client(signature_version="s3")
    url = old.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x"})
    command = [programs.find("curl"), "--silent", url]
    answer = subprocess.run(command, capture_output=True, text=True).stdout
    assert "AWS4-HMAC-SHA256" in answer, answer


def test_a_part_that_broke_off_is_sent_again(store, s3, bucket):
    bodies = [noise(5 << 20, 1), noise(5 << 20, 2), noise(1 << 20, 3)]
    etag = multipart.upload_with_one_cut(store, s3, bucket, "parts", bodies, cut=2)
    reply = s3.get_object(Bucket=bucket, Key="parts")
    assert reply["ETag"] == etag
    assert reply["Body"].read() == b"".join(bodies)


def test_a_put_whose_client_goes_away_leaves_nothing(store, s3, bucket):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "gone"})
    path = url.removeprefix(store.endpoint)
    host = store.endpoint.removeprefix("http://")
    for size, sent in [(4096, 4095), (1 << 20, 1 << 19), (1 << 20, 0)]:
        with store.connect() as connection:
            head = f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n"
            connection.sendall(head.encode() + b"x" * sent)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_get_under_way_survives_overwrite_and_delete(s3, bucket):
    data = noise(30 << 20)
    for spoil in (
        lambda: s3.put_object(Bucket=bucket, Key="read", Body=b"new"),
        lambda: s3.delete_object(Bucket=bucket, Key="read"),
    ):
        s3.put_object(Bucket=bucket, Key="read", Body=data)
        body = s3.get_object(Bucket=bucket, Key="read")["Body"]
        first = body.read(1000)
        spoil()
        assert first + body.read() == data
