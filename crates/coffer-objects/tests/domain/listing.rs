//! Listing against the plain way to do it.

use std::collections::BTreeSet;

use coffer_base::rng::{Rng, SeededRng};
use coffer_iam::Action;
use coffer_objects::{Entry, List, ListAfter, ListPage};

use crate::store::{Store, on_bucket, run};

/// All entries of a listing, the plain way.
fn naive(
    keys: &BTreeSet<String>,
    prefix: &str,
    delimiter: &str,
    after: Option<&ListAfter>,
) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        match after {
            Some(ListAfter::Key(after)) if key <= after => continue,
            Some(ListAfter::Prefix(after)) if key <= after || key.starts_with(after) => continue,
            _ => {}
        }
        let rest = &key[prefix.len()..];
        let entry = match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => format!("{}{}", prefix, &rest[..at + delimiter.len()]),
            None => key.clone(),
        };
        if entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}

async fn page(store: &Store, query: &List) -> ListPage {
    let grant = on_bucket(Action::ListBucket, "bkt");
    store.objects.list(&grant, query.clone()).await.unwrap()
}

/// All pages of a listing, one after the other.
async fn listed(store: &Store, mut query: List) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let page = page(store, &query).await;
        assert!(page.entries.len() <= query.max);
        assert_eq!(page.truncated, page.next.is_some());
        names.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return names,
        }
    }
}

#[test]
fn pages_fit_together_and_are_those_of_the_plain_way() {
    let store = Store::new();
    let rng = SeededRng::new(3);
    // Pieces that collide, nest, and are next to each other in the order of bytes.
    let pieces = ["a", "b", "/", "//", "\0", "\u{1}", "ab", "é", "\u{10ffff}", "-", ".", "0", "~"];
    let mut keys = BTreeSet::new();
    for _ in 0..400 {
        let mut key = String::new();
        for _ in 0..=rng.below(6) {
            key.push_str(pieces[rng.below(pieces.len() as u64) as usize]);
        }
        keys.insert(key);
    }
    run(async {
        for key in &keys {
            store.put(key, b"").await.unwrap();
        }
        for round in 0..300 {
            let pick = |n: u64| {
                let mut text = String::new();
                for _ in 0..rng.below(n) {
                    text.push_str(pieces[rng.below(pieces.len() as u64) as usize]);
                }
                text
            };
            let (prefix, delimiter) = (pick(3), pick(3));
            let after = match rng.below(4) {
                0 => Some(ListAfter::Key(pick(4))),
                1 => Some(ListAfter::Prefix(format!("{}/", pick(3)))),
                _ => None,
            };
            let max = [1, 2, 7, 1000][rng.below(4) as usize];
            let expected = naive(&keys, &prefix, &delimiter, after.as_ref());
            let query = List { prefix, delimiter: Some(delimiter), after, max };
            assert_eq!(listed(&store, query.clone()).await, expected, "round {round}: {query:?}");
        }
    });
}

#[test]
fn a_page_has_an_end_exactly_where_there_is_one() {
    let store = Store::new();
    run(async {
        for key in ["a", "b/1", "b/2", "c"] {
            store.put(key, b"1").await.unwrap();
        }
        let query = |max, delimiter: Option<&str>| List {
            max,
            delimiter: delimiter.map(str::to_owned),
            ..List::default()
        };
        let all = page(&store, &query(4, None)).await;
        assert_eq!((all.entries.len(), all.truncated), (4, false));
        let most = page(&store, &query(3, None)).await;
        assert_eq!(most.next, Some(ListAfter::Key("b/2".to_owned())));
        let rolled = page(&store, &query(2, Some("/"))).await;
        assert_eq!(rolled.entries[1], Entry::Prefix("b/".to_owned()));
        assert_eq!(rolled.next, Some(ListAfter::Prefix("b/".to_owned())));
        let none = page(&store, &query(0, None)).await;
        assert_eq!((none.entries.len(), none.truncated), (0, false));
        let many = page(&store, &query(5000, None)).await;
        assert_eq!(many.entries.len(), 4);
        let Entry::Object(info) = &many.entries[0] else { panic!("a is an object") };
        assert_eq!((info.key.as_str(), info.size, info.parts), ("a", 1, None));
    });
}

/// Keys of another bucket, whose id is next, are not seen.
#[test]
fn buckets_do_not_see_each_other() {
    let store = Store::new();
    run(async {
        store.create_bucket("ccc").await;
        store.put("k", b"").await.unwrap();
        let grant = on_bucket(Action::ListBucket, "ccc");
        let page = store.objects.list(&grant, List { max: 9, ..List::default() }).await.unwrap();
        assert!(page.entries.is_empty());
    });
}
