"""Uploads in parts, one of which breaks off half way."""

import hashlib
import urllib.parse


def multipart_etag(digests) -> str:
    """S3's ETag of an object whose parts have these MD5 digests."""
    return f'"{hashlib.md5(b"".join(digests)).hexdigest()}-{len(digests)}"'


def cut_off_part(store, s3, names: dict, number: int, data: bytes, sent: int):
    """Sends the first `sent` bytes of a part by a bare socket, then closes it."""
    url = s3.generate_presigned_url("upload_part", Params={**names, "PartNumber": number})
    parts = urllib.parse.urlsplit(url)
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\n"
        f"Host: {parts.netloc}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with store.connect() as connection:
        connection.sendall(head.encode())
        connection.sendall(memoryview(data)[:sent])


def upload_with_one_cut(store, s3, bucket: str, key: str, bodies, cut: int) -> str:
    """Uploads `bodies` (an iterable of bytes) as parts, cutting part number `cut` (from 1) off half
    way before it is sent again; the ETag that the store answered, after comparing it."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)
    names = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
    parts, digests = [], []
    for number, body in enumerate(bodies, 1):
        if number == cut:
            cut_off_part(store, s3, names, number, body, len(body) // 2)
            listed = s3.list_parts(**names).get("Parts", [])
            assert [part["PartNumber"] for part in listed] == list(range(1, number)), (
                f"a part that broke off is listed: {listed}"
            )
        part = s3.upload_part(**names, PartNumber=number, Body=body)
        digests.append(hashlib.md5(body).digest())
        assert part["ETag"] == f'"{digests[-1].hex()}"'
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    done = s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})
    assert done["ETag"] == multipart_etag(digests), "the ETag is not S3's"
    return done["ETag"]
