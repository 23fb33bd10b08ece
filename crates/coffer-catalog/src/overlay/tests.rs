use coffer_base::Rng;
use coffer_base::rng::SeededRng;
use coffer_log::Mark;

use super::*;
use crate::engine::MemEngine;
use crate::record::decode_counters;

fn key(n: u64) -> Vec<u8> {
    vec![1, n as u8]
}

#[test]
fn random_plans_agree_with_a_model_and_rejected_ones_leave_no_trace() {
    let rng = SeededRng::new(7);
    let engine = MemEngine::new();
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for _group in 0..200 {
        let mut overlay = Overlay::default();
        for _plan in 0..rng.below(6) {
            overlay.begin_plan();
            let mut after = model.clone();
            for _ in 0..rng.below(8) {
                let k = key(rng.below(40));
                match rng.below(3) {
                    0 => {
                        let value = rng.next_u64().to_le_bytes();
                        overlay.put(&k, &value);
                        after.insert(k, value.to_vec());
                    }
                    1 => {
                        overlay.delete(&k);
                        after.remove(&k);
                    }
                    _ => {
                        let k = vec![2, k[1] % 4];
                        overlay.add(&engine, &k, &[1, -2]).unwrap();
                        let sum = add_counters(after.get(&k).map(Vec::as_slice), &[1, -2]);
                        after.insert(k, sum);
                    }
                }
                let (lo, hi) = (key(rng.below(40)), key(rng.below(40)));
                let (lo, hi) = (Bound::Excluded(&lo[..]), Bound::Included(&hi[..]));
                let limit = rng.below(12) as usize;
                let found = overlay.range(&engine, lo, hi, limit).unwrap();
                let expected: Vec<_> = if is_empty_range(lo, hi) {
                    Vec::new()
                } else {
                    after.range::<[u8], _>((lo, hi)).take(limit).collect()
                };
                assert_eq!(found.len(), expected.len());
                for ((k, v), (ek, ev)) in found.iter().zip(expected) {
                    assert_eq!((&k[..], &v[..]), (&ek[..], &ev[..]));
                }
            }
            if rng.below(3) == 0 {
                overlay.roll_back();
            } else {
                model = after;
            }
            for n in 0..40 {
                let got = overlay.get(&engine, &key(n)).unwrap();
                assert_eq!(got.as_deref(), model.get(&key(n)).map(Vec::as_slice));
            }
        }
        let writes = overlay.into_writes();
        engine.apply(writes, Mark::default()).unwrap();
    }
    let counters = engine.get(&[2, 0]).unwrap().map(|v| decode_counters(&v)).unwrap();
    assert_eq!(counters[1], -2 * counters[0]);
}
