//! The AWS SDK for Rust, unmodified and with its default checksums, against the endpoint that
//! `COFFER_ENDPOINT` names: buckets, objects, ranges, parts, listings, deletes. Every byte that
//! comes back is compared.

use anyhow::{Context, Result, bail, ensure};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};

const BUCKET: &str = "sdk-rust";
const PART_BYTES: usize = 5 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let s3 = client()?;
    s3.create_bucket().bucket(BUCKET).send().await.context("CreateBucket")?;
    s3.head_bucket().bucket(BUCKET).send().await.context("HeadBucket")?;
    objects(&s3).await.context("objects")?;
    parts(&s3).await.context("parts")?;
    listings(&s3).await.context("listings")?;
    conditions(&s3).await.context("conditions")?;
    empty(&s3).await.context("emptying the bucket")?;
    s3.delete_bucket().bucket(BUCKET).send().await.context("DeleteBucket")?;
    println!("the AWS SDK for Rust did all its work");
    Ok(())
}

fn client() -> Result<Client> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        None,
        None,
        "environment",
    );
    let config = Builder::new()
        .behavior_version_latest()
        .region(Region::new(variable("AWS_REGION")?))
        .endpoint_url(variable("COFFER_ENDPOINT")?)
        .credentials_provider(credentials)
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Ok(Client::from_conf(config))
}

/// Bytes that tell where they belong.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

async fn objects(s3: &Client) -> Result<()> {
    for (seed, len) in [0, 1, 4096, 70_000, 3 << 20].into_iter().enumerate() {
        let (key, body) = (format!("objects/ü {len}"), noise(seed as u64, len));
        s3.put_object()
            .bucket(BUCKET)
            .key(&key)
            .body(ByteStream::from(body.clone()))
            .content_type("application/x-test")
            .metadata("colour", "blue")
            .send()
            .await
            .with_context(|| format!("PutObject {key}"))?;
        let reply = s3
            .get_object()
            .bucket(BUCKET)
            .key(&key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .with_context(|| format!("GetObject {key}"))?;
        ensure!(reply.content_type() == Some("application/x-test"), "{key}: content type");
        ensure!(
            reply.metadata().and_then(|m| m.get("colour")).map(String::as_str) == Some("blue"),
            "{key}: metadata"
        );
        // The SDK verifies the stored checksum against what it reads.
        let back = reply.body.collect().await.with_context(|| format!("body of {key}"))?;
        ensure!(back.into_bytes() == body, "{key}: wrong bytes");
    }
    let reply = s3
        .get_object()
        .bucket(BUCKET)
        .key("objects/ü 4096")
        .range("bytes=100-199")
        .send()
        .await
        .context("GetObject with a range")?;
    ensure!(reply.content_range() == Some("bytes 100-199/4096"), "content range");
    let back = reply.body.collect().await?.into_bytes();
    ensure!(back == noise(2, 4096)[100..200], "wrong bytes in a range");
    match s3.get_object().bucket(BUCKET).key("missing").send().await {
        Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
        Err(error) => Err(error).context("another error than NoSuchKey"),
        Ok(_) => bail!("a missing object came"),
    }
}

async fn parts(s3: &Client) -> Result<()> {
    let upload = s3.create_multipart_upload().bucket(BUCKET).key("parts").send().await?;
    let id = upload.upload_id().context("no upload id")?;
    let bodies = [noise(100, PART_BYTES), noise(101, PART_BYTES), noise(102, 1000)];
    let mut completed = CompletedMultipartUpload::builder();
    for (number, body) in (1..).zip(&bodies) {
        let part = s3
            .upload_part()
            .bucket(BUCKET)
            .key("parts")
            .upload_id(id)
            .part_number(number)
            .body(ByteStream::from(body.clone()))
            .send()
            .await
            .with_context(|| format!("UploadPart {number}"))?;
        completed = completed.parts(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag().map(str::to_owned))
                .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
                .build(),
        );
    }
    let listed = s3.list_parts().bucket(BUCKET).key("parts").upload_id(id).send().await?;
    ensure!(listed.parts().len() == 3, "{} parts are listed", listed.parts().len());
    let done = s3
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("parts")
        .upload_id(id)
        .multipart_upload(completed.build())
        .send()
        .await
        .context("CompleteMultipartUpload")?;
    ensure!(done.e_tag().is_some_and(|tag| tag.ends_with("-3\"")), "ETag {:?}", done.e_tag());
    let back = s3.get_object().bucket(BUCKET).key("parts").send().await?.body.collect().await?;
    ensure!(back.into_bytes() == bodies.concat(), "wrong bytes of an object in parts");
    let upload = s3.create_multipart_upload().bucket(BUCKET).key("given up").send().await?;
    s3.abort_multipart_upload()
        .bucket(BUCKET)
        .key("given up")
        .set_upload_id(upload.upload_id)
        .send()
        .await
        .context("AbortMultipartUpload")?;
    Ok(())
}

async fn listings(s3: &Client) -> Result<()> {
    for number in 0..25 {
        let key = format!("list/{}/{number:02}", number % 5);
        s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from(vec![7])).send().await?;
    }
    let mut keys = Vec::new();
    let mut pages =
        s3.list_objects_v2().bucket(BUCKET).prefix("list/").max_keys(7).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.context("ListObjectsV2")?;
        keys.extend(page.contents().iter().filter_map(|o| o.key()).map(str::to_owned));
    }
    ensure!(keys.len() == 25 && keys.is_sorted(), "listed {keys:?}");
    let folded = s3.list_objects_v2().bucket(BUCKET).prefix("list/").delimiter("/").send().await?;
    ensure!(folded.common_prefixes().len() == 5, "common prefixes");
    ensure!(folded.contents().is_empty(), "objects beside common prefixes");
    Ok(())
}

async fn conditions(s3: &Client) -> Result<()> {
    let put = || s3.put_object().bucket(BUCKET).key("once").body(ByteStream::from(vec![1]));
    put().if_none_match("*").send().await.context("the first conditional PutObject")?;
    match put().if_none_match("*").send().await {
        Err(error) if error.code() == Some("PreconditionFailed") => {}
        Err(error) => return Err(error).context("another error than PreconditionFailed"),
        Ok(_) => bail!("If-None-Match: * overwrote an object"),
    }
    s3.copy_object()
        .bucket(BUCKET)
        .key("copied")
        .copy_source(format!("{BUCKET}/once"))
        .send()
        .await
        .context("CopyObject")?;
    s3.delete_object().bucket(BUCKET).key("once").send().await.context("DeleteObject")?;
    Ok(())
}

async fn empty(s3: &Client) -> Result<()> {
    loop {
        let page = s3.list_objects_v2().bucket(BUCKET).send().await?;
        if page.contents().is_empty() {
            return Ok(());
        }
        let mut delete = Delete::builder();
        for key in page.contents().iter().filter_map(|object| object.key()) {
            delete = delete.objects(ObjectIdentifier::builder().key(key).build()?);
        }
        let done = s3.delete_objects().bucket(BUCKET).delete(delete.build()?).send().await?;
        ensure!(done.errors().is_empty(), "{:?}", done.errors());
    }
}
