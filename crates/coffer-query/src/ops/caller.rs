//! Who asks.

use coffer_iam::Action;

use super::Done;
use crate::call::Call;
use crate::document::Document;
use crate::error::{Code, QueryError};

/// Needs no permission: "No permissions are required to perform this operation. If an
/// administrator attaches a policy to your identity that explicitly denies access to the
/// sts:GetCallerIdentity action, you can still perform this operation." (AWS STS API reference.)
pub(super) fn identity(call: &Call<'_>, xml: &mut Document) -> Done {
    xml.text("UserId", &call.caller.id)
        .text("Account", &call.caller.account)
        .text("Arn", &call.caller.arn());
    Ok(())
}

pub(super) fn access_key_info(call: &Call<'_>, xml: &mut Document) -> Done {
    let access_key = call.parameters.need("AccessKeyId")?;
    call.grant_account(Action::GetAccessKeyInfo)?;
    let account = match call.identity.access_key_owner(access_key)? {
        Some((account, _)) => account.to_string(),
        None if access_key == call.access_key => call.caller.account.clone(),
        None => {
            return Err(QueryError::new(
                Code::ValidationError,
                "The access key is not one of this store.",
            ));
        }
    };
    xml.text("Account", &account);
    Ok(())
}
