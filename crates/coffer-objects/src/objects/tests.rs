//! Room for commits.

use super::*;
use crate::manifest::tests::{open, run};

/// Commits a row of `mib` values of 1 MiB each, of which the hint says nothing.
async fn commit_mib(objects: &Objects, mib: u32, bytes_hint: usize) -> Result<()> {
    let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
        for i in 0..mib {
            txn.put(format!("Zroom {i}").as_bytes(), &vec![7; 1 << 20]);
        }
        Ok(())
    };
    objects.commit(Ack::All, bytes_hint, plan).await
}

#[test]
fn a_commit_gets_the_room_that_it_turns_out_to_need_or_is_refused_rightly() {
    let objects = open();
    run(async {
        assert_eq!(commit_mib(&objects, 3, 100).await, Ok(()));
        assert_eq!(commit_mib(&objects, 7, 100).await, Ok(()));
        assert_eq!(commit_mib(&objects, 7, 5 << 20).await, Ok(()));
        let unavailable = commit_mib(&objects, 9, 100).await;
        assert!(matches!(unavailable, Err(Error::Unavailable(_))), "{unavailable:?}");
        let too_large = commit_mib(&objects, 9, 9 << 20).await;
        assert!(matches!(too_large, Err(Error::InvalidRequest(_))), "{too_large:?}");
    });
}
