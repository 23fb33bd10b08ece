//! What fsck finds. A checker that finds nothing in a damaged store is worse than none.

use std::sync::Arc;

use coffer_base::Ack;
use coffer_catalog::{Txn, TxnError};
use coffer_iam::Action;
use coffer_objects::fsck::{FsckOptions, fsck_with};
use coffer_objects::{Copy, CreateUpload, Headers, Put, Versioning};

use crate::store::{Store, bytes, on, run};

/// A store with a row of each kind.
fn store() -> Store {
    let store = Store::new();
    run(async {
        store.put("inline", &bytes(1, 3000)).await.unwrap();
        store.put("blob", &bytes(2, 40_000)).await.unwrap();
        let (read, write) = (on(Action::GetObject, "blob"), on(Action::PutObject, "copy"));
        store.objects.copy(&read, &write, Copy::default()).await.unwrap();
        let headers =
            Headers { user: vec![("n".to_owned(), vec![b'x'; 1000])], ..Headers::default() };
        store.put_with("cold", b"c", Put { headers, ..Put::default() }, None).await.unwrap();
        let grant = on(Action::PutObject, "upload");
        let upload = store.objects.create_upload(&grant, CreateUpload::default()).await.unwrap();
        let put = Put::default();
        let mut part = store.objects.upload_part(&grant, &upload.upload_id, 1, put).await.unwrap();
        part.write(bytes(3, 500).into()).await.unwrap();
        part.finish_part(None).await.unwrap();
        store.put("kept", &bytes(4, 20)).await.unwrap();
        store.set_versioning(Versioning::Enabled).await;
        store.put("kept", &bytes(4, 30)).await.unwrap();
        store.delete("cold").await.unwrap();
    });
    store.check();
    store
}

fn change(store: &Store, plan: impl FnOnce(&mut Txn<'_>) + Send + 'static) {
    let plan = move |txn: &mut Txn<'_>| -> Result<(), TxnError> {
        plan(txn);
        Ok(())
    };
    run(store.objects.catalog().commit(Ack::All, 4096, plan)).unwrap();
}

#[test]
fn every_row_that_is_lost_or_garbled_is_found() {
    let rows: Vec<_> = {
        let store = store();
        let snapshot = store.objects.catalog().snapshot();
        snapshot.prefix(&[]).map(|entry| entry.unwrap()).collect()
    };
    let kinds: std::collections::BTreeSet<u8> = rows.iter().map(|(key, _)| key[0]).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), b"#BCMNOPRUV");
    for (key, value) in &rows {
        let at = store();
        let lost = key.clone();
        change(&at, move |txn| txn.delete(&lost));
        assert!(!at.findings().is_empty(), "{key:?} is lost, and nothing is found");

        let at = store();
        let (garbled, mut bytes) = (key.clone(), value.to_vec());
        let last = bytes.len() - 1;
        bytes[last] ^= 0x7e;
        bytes.push(0x11);
        change(&at, move |txn| txn.put(&garbled, &bytes));
        assert!(!at.findings().is_empty(), "{key:?} is garbled, and nothing is found");
    }
}

#[test]
fn rows_that_belong_to_nothing_are_found() {
    let keys: [&[u8]; 4] = [b"?", b"Ox", b"#Gshort", b"P"];
    for key in keys {
        let store = store();
        change(&store, move |txn| txn.put(key, b"\x01"));
        let findings = store.findings();
        assert!(findings[0].contains("no row has such a key"), "{findings:?}");
    }
}

#[test]
fn payloads_that_can_not_be_read_are_found() {
    // The bytes of an inline and of a bulk payload, found by their content.
    for (body, key) in [(bytes(1, 3000), "inline"), (bytes(2, 40_000), "blob")] {
        let store = store();
        let mut flipped = false;
        let drive = store.world.drive("d0");
        for name in coffer_base::Drive::list(&*drive).unwrap() {
            let access = coffer_base::drive::Access::Buffered;
            let file = coffer_base::Drive::open(&*drive, &name, access).unwrap();
            let mut content = vec![0; file.len().unwrap() as usize];
            file.read_at(&mut content, 0).unwrap();
            let found = content.windows(64).position(|window| window == &body[100..164]);
            if let Some(at) = found {
                flipped |= store.world.flip_bit("d0", &name, at as u64, 3);
            }
        }
        assert!(flipped, "the payload of {key} is on the drive");
        let findings = store.findings();
        assert!(
            findings.iter().any(|finding| finding.contains(&format!("{key:?}"))),
            "{findings:?}"
        );
        run(async { assert!(store.get(key).await.is_err()) });
    }
}

/// The index is what it is, but the log says otherwise.
#[test]
fn an_index_that_differs_from_the_log_is_found() {
    use coffer_catalog::{Engine, MemEngine, Write};
    let store = store();
    let engine = MemEngine::new();
    let rows: Vec<_> =
        store.objects.catalog().snapshot().prefix(&[]).map(|entry| entry.unwrap()).collect();
    let end = store.objects.catalog().log().end();
    // A fresh engine that is not empty: what it has besides counts as being in the log.
    let extra = Write::Put { key: b"Zextra".as_slice().into(), value: b"".as_slice().into() };
    engine.apply(vec![extra], end).unwrap();
    let mut findings = Vec::new();
    let options = coffer_objects::FsckOptions {
        skip_payloads: true,
        fresh: Some(std::sync::Arc::new(engine)),
        ..FsckOptions::default()
    };
    let report =
        coffer_objects::fsck::fsck_with(store.objects.catalog(), options, &mut |finding| {
            findings.push(finding.to_string())
        });
    assert_eq!(report.unwrap().rows as usize, rows.len());
    assert_eq!(findings.len(), 1);
    assert!(findings[0].contains("in the log, but not in the index"), "{findings:?}");
}

#[test]
fn rows_of_identities_are_left_to_whom_they_belong() {
    let store = store();
    change(&store, |txn| txn.put(b"Awhat", b"\x01"));
    change(&store, |txn| txn.put(b"Inot", b"\x01"));
    store.check();
    let mut found = Vec::new();
    let check = |_: &coffer_catalog::Snapshot, key: &[u8], _: &[u8]| match key[0] {
        b'A' => Ok(Some(vec!["it is wrong".to_owned()])),
        _ => Ok(None),
    };
    let options = FsckOptions { identities: Some(Arc::new(check)), ..FsckOptions::default() };
    let catalog = store.objects.catalog();
    fsck_with(catalog, options, &mut |finding| found.push(finding.to_string())).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("it is wrong") && found[1].contains("no row has such a key"));
}
