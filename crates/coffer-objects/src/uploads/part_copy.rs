//! Uploading a part from an object: its bytes are read and written again, because the part's
//! ETag is their MD5 and a part's extents belong to it alone.

use coffer_iam::{Action, Grant};

use super::{UploadId, check_part_number, upload_row};
use crate::error::{Error, Result};
use crate::objects::{Objects, object_key, version_key};
use crate::range::ByteRange;
use crate::types::{BODY_BYTES_MAX, CopyPart, PartCopied, Put};

impl Objects {
    /// Uploads a part from (a range of) an object or a version of it (`UploadPartCopy`). Unlike that of a GET, the
    /// range must lie wholly inside.
    pub async fn upload_part_copy(
        &self,
        read: &Grant,
        write: &Grant,
        upload_id: &str,
        part_number: u32,
        request: CopyPart,
    ) -> Result<PartCopied> {
        let CopyPart { version, range, conditions } = request;
        let from_key = version_key(read, version, Action::GetObject, Action::GetObjectVersion)?;
        let to_key = object_key(write, Action::PutObject)?;
        check_part_number(part_number)?;
        let bucket = self.bucket_row(write)?.bucket(write.bucket().to_owned());
        let id = UploadId::parse(upload_id)?;
        let upload = upload_row(self.catalog(), bucket.id, &to_key, id)?;
        let found = self.find_source(read, from_key, version).await?;
        let info = found.info();
        conditions.evaluate_source(&info.etag, info.modified)?;
        let range = match range {
            None => 0..info.size,
            Some(ByteRange::FromTo(first, last)) if last < info.size => first..last + 1,
            Some(ByteRange::FromTo(first, last)) => {
                return Err(Error::InvalidArgument(format!(
                    "Range specified is not valid for source object of size: {} ({first}-{last})",
                    info.size
                )));
            }
            Some(ByteRange::From(_) | ByteRange::Suffix(_)) => {
                return Err(Error::InvalidArgument(
                    "The x-amz-copy-source-range value must be of the form bytes=first-last \
                     where first and last are the zero-based offsets of the first and last \
                     bytes to copy"
                        .to_owned(),
                ));
            }
        };
        let size = range.end - range.start;
        if size > BODY_BYTES_MAX {
            return Err(Error::EntityTooLarge { size, max: BODY_BYTES_MAX });
        }
        let put = Put { content_length: Some(size), ..Put::default() };
        let mut writer = self.part_writer(bucket, to_key, id, &upload, part_number, put)?;
        let mut reader = self.read_bytes(found.pin(), range);
        while let Some(bytes) = reader.next().await {
            writer.write(bytes?).await?;
        }
        let source_version_id = info.version_id;
        Ok(PartCopied { info: writer.finish_part(None).await?, source_version_id })
    }
}
